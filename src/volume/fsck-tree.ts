import { align4K, ROOT_INO, TYPE_DIRECTORY, TYPE_FILE } from "../meta/limits.ts";
import type { Meta } from "../meta/meta.ts";
import { openMeta } from "../meta/redis/open.ts";
import type { Ino } from "../meta/types.ts";
import type { DirSums } from "../meta/upkeep.ts";
import { FsError } from "../base/fs-error.ts";
import { silent, type Counter, type JobOptions } from "./progress.ts";

/** Looks at the records of directories, and sets them right when asked to (JuiceFS pkg/meta/base.go `Check`, 1.4). */

export interface TreeRequest {
  readonly metaUrl: string;
  /** From the volume's root. */
  readonly path: string;
  readonly recursive: boolean;
  readonly repair: boolean;
  /** Also the sums that are kept for each directory; for the whole volume its counters too. */
  readonly syncSums: boolean;
  /** Permission bits of a directory that has lost its attributes. */
  readonly repairMode: number;
}

export interface TreeCheck {
  directories: number;
  readonly problems: TreeProblem[];
}

export interface TreeProblem {
  readonly inode: string;
  readonly path: string;
  readonly problem: string;
  readonly repaired: boolean;
}

interface Directory {
  readonly ino: Ino;
  readonly parent: Ino;
  readonly path: string;
}

/** @throws Error in one sentence where it cannot be checked */
export async function checkTree(
  request: TreeRequest,
  { progress = silent, signal }: JobOptions = {},
): Promise<TreeCheck> {
  const meta = await openMeta(
    request.metaUrl,
    { mountpoint: "fsck", readOnly: !request.repair, noBgjob: true },
    {
      changed: () => undefined,
      trustChanged: () => undefined,
      deleteSlice: () => Promise.reject(new Error("fsck deletes nothing")),
      volumeGone: () => undefined,
    },
  );
  try {
    const counter = progress.count("directories looked at");
    const check = new TreeChecker(meta, request, { counter, signal });
    const result = await check.run();
    counter.end();
    return result;
  } finally {
    await meta.close();
  }
}

class TreeChecker {
  readonly #meta: Meta;
  readonly #request: TreeRequest;
  readonly #counter: Counter;
  readonly #signal: AbortSignal | undefined;
  readonly #result: TreeCheck = { directories: 0, problems: [] };

  constructor(
    meta: Meta,
    request: TreeRequest,
    { counter, signal }: { counter: Counter; signal: AbortSignal | undefined },
  ) {
    this.#meta = meta;
    this.#request = request;
    this.#counter = counter;
    this.#signal = signal;
  }

  async run(): Promise<TreeCheck> {
    const waiting = [await this.#resolve()];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      this.#signal?.throwIfAborted();
      const below = await this.#check(next);
      if (this.#request.recursive) waiting.push(...below);
      this.#result.directories++;
      this.#counter.add();
    }
    const { path, recursive, syncSums } = this.#request;
    if (recursive && syncSums && names(path).length === 0) await this.#checkUsage();
    return this.#result;
  }

  async #resolve(): Promise<Directory> {
    let at: Directory = { ino: ROOT_INO, parent: ROOT_INO, path: "/" };
    for (const name of names(this.#request.path)) {
      try {
        const { ino, attr } = await this.#meta.lookup(at.ino, Buffer.from(name));
        if (attr.type !== TYPE_DIRECTORY) throw new FsError("ENOTDIR", "fsck");
        at = { ino, parent: at.ino, path: join(at.path, name) };
      } catch (error) {
        if (!(error instanceof FsError) || error.code === "EIO") throw error;
        throw new Error(`Cannot check "${this.#request.path}": no such directory in the volume`, {
          cause: error,
        });
      }
    }
    return at;
  }

  /** @returns the directories in it */
  async #check(directory: Directory): Promise<Directory[]> {
    const { ino } = directory;
    const { upkeep } = this.#meta;
    const attr = await this.#meta.getattr(ino).catch(absent);
    const seen = await upkeep.dirSums(ino);
    const { below, right } = await this.#entriesOf(directory);
    const nlink = 2 + below.length;
    if (attr === undefined) {
      const made = { mode: this.#request.repairMode, nlink, parent: directory.parent };
      await this.#report(directory, "its attributes are missing", () =>
        upkeep.restoreDirectory(ino, made),
      );
    } else if (attr.nlink !== nlink) {
      await this.#report(directory, `it has ${attr.nlink} links instead of ${nlink}`, () =>
        upkeep.repairNlink(ino, attr.nlink, nlink),
      );
    }
    if (this.#request.syncSums && this.#meta.format.DirStats && !same(seen, right)) {
      await this.#report(directory, `its sums are ${shown(seen)} instead of ${shown(right)}`, () =>
        upkeep.repairDirSums(ino, seen, right),
      );
    }
    return below;
  }

  async #entriesOf({ ino, path }: Directory): Promise<{ below: Directory[]; right: DirSums }> {
    // A listing may show a name twice.
    const seen = new Set<string>();
    const below: Directory[] = [];
    const right = { length: 0, space: 0, inodes: 0 };
    let cursor = "0";
    do {
      this.#signal?.throwIfAborted();
      const batch = await this.#meta.readdir(ino, cursor, true);
      cursor = batch.cursor;
      for (const entry of batch.entries) {
        const key = entry.name.toString("latin1");
        if (seen.has(key)) continue;
        seen.add(key);
        const { type, attr } = entry;
        right.inodes++;
        right.space += type === TYPE_DIRECTORY ? 4096 : align4K(attr?.length ?? 0);
        if (type === TYPE_FILE) right.length += attr?.length ?? 0;
        if (type !== TYPE_DIRECTORY) continue;
        below.push({ ino: entry.ino, parent: ino, path: join(path, entry.name.toString()) });
      }
    } while (cursor !== "0");
    return { below, right };
  }

  /** The volume's counters, where nobody changes them meanwhile. */
  async #checkUsage(): Promise<void> {
    const { upkeep } = this.#meta;
    const seen = await upkeep.usage();
    const right = await upkeep.countUsage(this.#signal);
    const after = await upkeep.usage();
    const still = seen.space === after.space && seen.inodes === after.inodes;
    if (seen.space === right.space && seen.inodes === right.inodes) return;
    const volume = { ino: ROOT_INO, parent: ROOT_INO, path: "/" };
    const problem = `the volume counts ${seen.space} bytes in ${seen.inodes} inodes instead of ${right.space} in ${right.inodes}`;
    if (!still) {
      const busy = `${problem}; somebody writes to it: check again when nobody does`;
      await this.#report(volume, busy, () => Promise.resolve(false));
      return;
    }
    await this.#report(volume, problem, () => upkeep.repairUsage(seen, right));
  }

  async #report(
    { ino, path }: Directory,
    problem: string,
    repair: () => Promise<boolean>,
  ): Promise<void> {
    const repaired = this.#request.repair && (await repair());
    this.#result.problems.push({ inode: ino.toString(), path, problem, repaired });
  }
}

function names(path: string): string[] {
  return path.split("/").filter((name) => name !== "");
}

function join(folder: string, name: string): string {
  return `${folder === "/" ? "" : folder}/${name}`;
}

function absent(error: unknown): undefined {
  if (error instanceof FsError && error.code === "ENOENT") return undefined;
  throw error;
}

/** A directory without entries may have no sums. */
function same(seen: DirSums | undefined, right: DirSums): boolean {
  const { length, space, inodes } = seen ?? { length: 0, space: 0, inodes: 0 };
  return length === right.length && space === right.space && inodes === right.inodes;
}

function shown(sums: DirSums | undefined): string {
  if (sums === undefined) return "missing";
  return `${sums.length} bytes, ${sums.space} counted, ${sums.inodes} entries`;
}
