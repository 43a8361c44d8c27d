import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mountPoints, mountTmpfs, unmount } from "../fuse/mount.ts";
import { readJournal } from "../vfs/dirty-journal.ts";
import { mountFolder } from "./control.ts";

/**
 * The folder in memory that the processes of a mount share: what was written and is not stored yet outlives the serving
 * process there, and both processes where they die at one moment. A file system of its own, for what a container has as
 * /dev/shm is small.
 */

/** Each writer may have one request on its way when the memory for what was written is used up. */
const SLACK_BYTES = 1 << 30;
const SHARED = "shared";
const OWNER = "owner.json";

/** Whose folder it is, for whoever finds it when both processes are gone. */
export interface SharedOwner {
  /** Of the volume. */
  readonly uuid: string;
  /** Of the session; decimal. */
  readonly sid: string;
  readonly mountpoint: string;
}

export async function makeSharedFolder(mountpoint: string, bufferBytes: number): Promise<string> {
  const home = mountFolder(mountpoint);
  // An earlier mount that died here may have left what is not stored.
  if (readOwner(sharedIn(home)) !== undefined) renameSync(home, `${home}-${Date.now()}`);
  else await removeSharedFolder(home);
  const folder = sharedIn(home);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  await mountTmpfs(folder, bufferBytes + SLACK_BYTES);
  return folder;
}

/** @param home the folder of a mount (`mountFolder`) */
export function sharedIn(home: string): string {
  return join(home, SHARED);
}

export function noteOwner(folder: string, owner: SharedOwner): void {
  writeFileSync(join(folder, OWNER), JSON.stringify(owner), { mode: 0o600 });
}

/** Undefined where no mount has got so far. */
export function readOwner(folder: string): SharedOwner | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, OWNER), "utf8")) as SharedOwner;
  } catch {
    return undefined;
  }
}

/** Whether something was written that is not stored yet. */
export function holdsUnstored(folder: string): boolean {
  return readJournal(folder).slices.length > 0;
}

/** @param home the folder of a mount (`mountFolder`) */
export async function removeSharedFolder(home: string): Promise<void> {
  const folder = sharedIn(home);
  while (mountPoints().some(({ target }) => target === folder)) {
    await unmount(folder, { lazy: true });
  }
  rmSync(folder, { recursive: true, force: true });
}
