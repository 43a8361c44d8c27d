import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { mountPoints, mountTmpfs, unmount } from "../fuse/mount.ts";
import { readJournal } from "../vfs/dirty-journal.ts";
import { mountFolder } from "./control.ts";

/**
 * The folder in memory that the processes of a mount share: what was written and is not stored yet outlives the serving
 * process there. A file system of its own, for what a container has as /dev/shm is small.
 */

/** Each writer may have one request on its way when the memory for what was written is used up. */
const SLACK_BYTES = 1 << 30;

export async function makeSharedFolder(mountpoint: string, bufferBytes: number): Promise<string> {
  const folder = join(mountFolder(mountpoint), "shared");
  await removeSharedFolder(mountpoint);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  await mountTmpfs(folder, bufferBytes + SLACK_BYTES);
  return folder;
}

/** Whether something was written that is not stored yet. */
export function holdsUnstored(folder: string): boolean {
  return readJournal(folder).slices.length > 0;
}

export async function removeSharedFolder(mountpoint: string): Promise<void> {
  const folder = join(mountFolder(mountpoint), "shared");
  while (mountPoints().some(({ target }) => target === folder)) {
    await unmount(folder, { lazy: true });
  }
  rmSync(folder, { recursive: true, force: true });
}
