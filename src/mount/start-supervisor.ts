import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { childEnvironment } from "./child-environment.ts";
import type { ServedMount } from "./messages.ts";
import type { SuperviseRequest } from "./supervise.ts";

const PROGRAM = fileURLToPath(new URL("supervise.ts", import.meta.url));

/** Starts a supervisor for a mount that is served by this process already. It finds the device as descriptor 3. */
export function startSupervisor(device: number, mount: ServedMount): ChildProcess {
  const child = spawn(process.execPath, [PROGRAM], {
    stdio: ["ignore", "inherit", "inherit", device, "ipc"],
    env: childEnvironment(),
    detached: true,
  });
  // An error shows as the end of the channel.
  child.on("error", () => undefined);
  child.send({ adopt: mount } satisfies SuperviseRequest, () => undefined);
  return child;
}
