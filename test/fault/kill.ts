import type { MountStatus } from "../../src/mount/control.ts";
import { askTestMount } from "../support/mount.ts";
import { until } from "../support/process.ts";

/** A busy machine takes its time to start one. */
const PATIENCE_MS = 60_000;

/** Kills one of the mount's processes and waits until it is served again. */
export async function kill(
  mount: { path: string; folder: string },
  which: "serverPid" | "supervisorPid",
): Promise<MountStatus> {
  const before = await askTestMount(mount);
  process.kill(before[which], "SIGKILL");
  let after = before;
  const succeeded = async (): Promise<boolean> => {
    after = await askTestMount(mount).catch(() => before);
    return after[which] !== before[which] && after.state === "serving";
  };
  await until("a successor", succeeded, PATIENCE_MS);
  return after;
}
