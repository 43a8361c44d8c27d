import { mountPoints, unmount } from "../fuse/mount.ts";
import type { StagedBlocks } from "../volume/open.ts";
import { askMount } from "./control.ts";

/** Storing what is left may take long where the store is slow. */
const PATIENCE_MS = 24 * 3_600_000;

export interface UnmountOptions {
  /** Also while somebody uses it. */
  readonly lazy: boolean;
  /** Settles when everything is stored. */
  readonly wait: boolean;
  /** What is staged is uploaded whatever the hour. */
  readonly upload?: boolean;
}

/**
 * Ends a mount of ours.
 *
 * @returns what was staged and not uploaded when it answered
 * @throws Error when nothing of ours is mounted there, or somebody uses it
 */
export async function unmountVolume(
  target: string,
  { lazy, wait, upload = false }: UnmountOptions,
): Promise<StagedBlocks | undefined> {
  const top = mountPoints().findLast((point) => point.target === target);
  if (top === undefined) throw new Error(`Cannot unmount "${target}": nothing is mounted there`);
  if (top.type !== "fuse.juicefs") {
    throw new Error(`Cannot unmount "${target}": it is ${top.type}, not a juicefs volume`);
  }
  const request = { ask: "unmount", lazy, wait, upload } as const;
  const asked = await askMount(target, request, { limitMs: PATIENCE_MS });
  // Nobody answers: a dead mount, or one of another client.
  if (asked === undefined) await unmount(target, { lazy });
  return asked?.staged;
}
