import { mountPoints, unmount } from "../fuse/mount.ts";

/**
 * Ends a mount of ours.
 *
 * @throws Error when nothing of ours is mounted there, or somebody uses it
 */
export async function unmountVolume(target: string, { lazy }: { lazy: boolean }): Promise<void> {
  const top = mountPoints().findLast((point) => point.target === target);
  if (top === undefined) throw new Error(`Cannot unmount "${target}": nothing is mounted there`);
  if (top.type !== "fuse.juicefs") {
    throw new Error(`Cannot unmount "${target}": it is ${top.type}, not a juicefs volume`);
  }
  await unmount(target, { lazy });
}
