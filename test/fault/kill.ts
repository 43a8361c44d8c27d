import type { MountStatus } from "../../src/mount/control.ts";
import { askTestMount } from "../support/mount.ts";
import { until } from "../support/process.ts";

/** Kills one of the mount's processes and waits until it is served again. */
export async function kill(
  mount: { path: string; folder: string },
  which: "serverPid" | "supervisorPid",
): Promise<MountStatus> {
  const before = await askTestMount(mount);
  process.kill(before[which], "SIGKILL");
  let after = before;
  await until("a successor", async () => {
    after = await askTestMount(mount).catch(() => before);
    return after[which] !== before[which] && after.state === "serving";
  });
  return after;
}
