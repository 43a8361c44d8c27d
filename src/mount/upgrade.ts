import { setTimeout as sleep } from "node:timers/promises";
import { VERSION } from "../base/version.ts";
import { volumeUuid } from "../volume/status.ts";
import { askMount, type MountStatus } from "./control.ts";
import type { MountConfig } from "./messages.ts";
import { SERVE_PROGRAM } from "./server-handle.ts";

/** How a mount that another version serves comes to be served by this one, while it is used. */

const ASK_MS = 1000;
/** As long as the process before may take to answer what it is doing, and the next one to begin. */
const HANDOVER_MS = 30_000;
const PAUSE_MS = 20;

/**
 * Hands a mount of another version over to this one's programs.
 *
 * @throws Error when that does not work; who served it before goes on then
 */
export async function upgradeMount(mountpoint: string): Promise<MountStatus | undefined> {
  const before = await statusOf(mountpoint);
  if (before === undefined || before.version === VERSION) return before;
  return handOver(before);
}

/**
 * The same for a volume that is to be mounted where it is served already, by whatever version. It keeps the options that it
 * was mounted with.
 *
 * @returns undefined where nobody serves a mount
 * @throws Error when another volume is mounted there, or when it cannot be handed over; who served it before goes on then
 */
export async function takeMountOver({
  metaUrl,
  mountpoint,
}: MountConfig): Promise<MountStatus | undefined> {
  const before = await statusOf(mountpoint);
  if (before === undefined || before.state === "unmounted") return undefined;
  if (before.uuid !== (await volumeUuid(metaUrl))) {
    throw new Error(
      `Cannot mount on "${mountpoint}": the volume "${before.volume}" is mounted there already; unmount it with juicefs umount`,
    );
  }
  return handOver(before);
}

/** Settles when the mount has ended. */
export async function untilUnmounted(mountpoint: string): Promise<void> {
  for (;;) {
    await sleep(ASK_MS / 2);
    // One that does not answer in time is there.
    if ((await statusOf(mountpoint).catch(() => "busy")) === undefined) return;
  }
}

function statusOf(mountpoint: string): Promise<MountStatus | undefined> {
  return askMount(mountpoint, { ask: "status" }, { limitMs: ASK_MS });
}

/** The serving process first, then the supervisor, in whose place the new serving process starts one of its own version. */
async function handOver({ mountpoint, supervisorPid }: MountStatus): Promise<MountStatus> {
  const request = { ask: "replace", program: SERVE_PROGRAM } as const;
  await askMount(mountpoint, request, { limitMs: HANDOVER_MS });
  process.kill(supervisorPid, "SIGKILL");
  const end = Date.now() + HANDOVER_MS;
  for (;;) {
    const now = await statusOf(mountpoint).catch(() => undefined);
    if (now !== undefined && now.supervisorPid !== supervisorPid) return now;
    if (Date.now() > end)
      throw new Error(`Cannot hand "${mountpoint}" over: no new supervisor answers`);
    await sleep(PAUSE_MS);
  }
}
