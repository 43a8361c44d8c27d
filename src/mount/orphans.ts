import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isServed } from "../base/socket.ts";
import { CONTROL_SOCKET, JOBS_SOCKET, runFolder } from "./control.ts";
import {
  holdsUnstored,
  readOwner,
  removeSharedFolder,
  sharedIn,
  type SharedOwner,
} from "./shared-folder.ts";

/** What mounts leave whose two processes died at one moment: a folder in memory with what was written and is not stored. */

/** As long as one of the two processes may be without the other, which it is just starting. */
const ALONE_MS = 700;
/** A mount that begins is not known by its sockets yet. */
const BEGINNING_MS = 60_000;

export interface Orphan {
  /** Of the mount. */
  readonly home: string;
  readonly owner: SharedOwner;
  /** Something is not stored yet. */
  readonly unstored: boolean;
}

/** The mounts whose processes are gone. What else lies around of dead ones is removed. */
export async function findOrphans(): Promise<Orphan[]> {
  const homes = namesIn(runFolder()).map((name) => join(runFolder(), name));
  const found = await Promise.all(homes.map((home) => orphanIn(home)));
  return found.filter((orphan) => orphan !== undefined);
}

async function orphanIn(home: string): Promise<Orphan | undefined> {
  const folder = sharedIn(home);
  const owner = readOwner(folder);
  if (await anyoneListens(home)) return undefined;
  if (owner === undefined) {
    if (isOld(home)) await removeHome(home);
    return undefined;
  }
  await sleep(ALONE_MS);
  if ((await anyoneListens(home)) || readOwner(folder) === undefined) return undefined;
  return { home, owner, unstored: holdsUnstored(folder) };
}

/** Removes what a mount kept, when nothing of it is needed any more. */
export async function removeHome(home: string): Promise<void> {
  await removeSharedFolder(home);
  rmSync(home, { recursive: true, force: true });
}

async function anyoneListens(home: string): Promise<boolean> {
  const sockets = [CONTROL_SOCKET, JOBS_SOCKET].map((name) => isServed(join(home, name)));
  return (await Promise.all(sockets)).includes(true);
}

function isOld(path: string): boolean {
  const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
  return Date.now() - made > BEGINNING_MS;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
