import { mountPoints, unmount } from "../fuse/mount.ts";
import { askMount } from "./control.ts";

/** Storing what is left may take long where the store is slow. */
const PATIENCE_MS = 24 * 3_600_000;

/**
 * Ends a mount of ours; with `wait`, settles when everything is stored.
 *
 * @throws Error when nothing of ours is mounted there, or somebody uses it
 */
export async function unmountVolume(
  target: string,
  { lazy, wait }: { lazy: boolean; wait: boolean },
): Promise<void> {
  const top = mountPoints().findLast((point) => point.target === target);
  if (top === undefined) throw new Error(`Cannot unmount "${target}": nothing is mounted there`);
  if (top.type !== "fuse.juicefs") {
    throw new Error(`Cannot unmount "${target}": it is ${top.type}, not a juicefs volume`);
  }
  const asked = await askMount(target, { ask: "unmount", lazy, wait }, { limitMs: PATIENCE_MS });
  // Nobody answers: a dead mount, or one of another client.
  if (asked === undefined) await unmount(target, { lazy });
}
