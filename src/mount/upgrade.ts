import { setTimeout as sleep } from "node:timers/promises";
import { VERSION } from "../base/version.ts";
import { askMount, type MountStatus } from "./control.ts";
import { SERVE_PROGRAM } from "./server-handle.ts";

/** How a mount that another version serves comes to be served by this one, while it is used. */

const ASK_MS = 1000;
/** As long as the process before may take to answer what it is doing, and the next one to begin. */
const HANDOVER_MS = 30_000;
const PAUSE_MS = 20;

/**
 * Hands the mount over to this version's programs: the serving process first, then the supervisor, in whose place the new
 * serving process starts one of its own version.
 *
 * @throws Error when that does not work; who served it before goes on then
 */
export async function upgradeMount(mountpoint: string): Promise<MountStatus | undefined> {
  const before = await askMount(mountpoint, { ask: "status" }, { limitMs: ASK_MS });
  if (before === undefined || before.version === VERSION) return before;
  const request = { ask: "replace", program: SERVE_PROGRAM } as const;
  await askMount(mountpoint, request, { limitMs: HANDOVER_MS });
  process.kill(before.supervisorPid, "SIGKILL");
  const end = Date.now() + HANDOVER_MS;
  for (;;) {
    const now = await askMount(mountpoint, { ask: "status" }, { limitMs: ASK_MS }).catch(
      () => undefined,
    );
    if (now !== undefined && now.supervisorPid !== before.supervisorPid) return now;
    if (Date.now() > end)
      throw new Error(`Cannot hand "${mountpoint}" over: no new supervisor answers`);
    await sleep(PAUSE_MS);
  }
}
