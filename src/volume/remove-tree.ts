import pLimit, { type LimitFunction } from "p-limit";
import { FsError } from "../base/fs-error.ts";
import { TYPE_DIRECTORY } from "../meta/limits.ts";
import type { Meta, Notice } from "../meta/meta.ts";
import type { Caller, Ino } from "../meta/types.ts";
import { silent, type Counter, type JobOptions } from "./progress.ts";

/** Removes a name and everything below it (JuiceFS pkg/meta/utils.go `emptyDir`, 1.4). */

export interface TreeRemoval {
  readonly parent: Ino;
  readonly name: Buffer;
  /** For good, not into the trash. */
  readonly skipTrash: boolean;
  readonly threads: number;
}

export interface RemovalParts {
  readonly meta: Meta;
  /** What the mount is told that does not hear of its own changes. */
  readonly changed: (notice: Notice) => void;
}

/** A directory that somebody fills while it is emptied is emptied again, so often. */
const TRIES = 5;
const ROOT: Caller = { uid: 0, gid: 0, pid: 0 };

/**
 * @returns how many names were removed
 * @throws FsError the first refusal; what was removed until then stays removed
 */
export async function removeTree(
  parts: RemovalParts,
  removal: TreeRemoval,
  { progress = silent, signal }: JobOptions,
): Promise<{ removed: number }> {
  const counter = progress.count("names removed");
  const remover = new Remover(parts, removal, { counter, signal });
  await remover.remove(removal.parent, removal.name);
  counter.end();
  return { removed: remover.removed };
}

interface Named {
  readonly name: Buffer;
  readonly known: Ino;
  readonly directory: boolean;
}

class Remover {
  removed = 0;
  readonly #parts: RemovalParts;
  readonly #skipTrash: boolean;
  readonly #limit: LimitFunction;
  readonly #counter: Counter;
  readonly #signal: AbortSignal | undefined;

  constructor(
    parts: RemovalParts,
    removal: TreeRemoval,
    { counter, signal }: { counter: Counter; signal: AbortSignal | undefined },
  ) {
    this.#parts = parts;
    this.#skipTrash = removal.skipTrash;
    this.#limit = pLimit(removal.threads);
    this.#counter = counter;
    this.#signal = signal;
  }

  async remove(parent: Ino, name: Buffer): Promise<void> {
    const { ino, attr } = await this.#parts.meta.lookup(parent, name);
    const entry = { name, known: ino, directory: attr.type === TYPE_DIRECTORY };
    await (entry.directory ? this.#removeDirectory(parent, entry) : this.#one(parent, entry));
  }

  async #removeDirectory(parent: Ino, entry: Named): Promise<void> {
    for (let tries = 1; ; tries++) {
      await this.#empty(entry.known);
      try {
        await this.#one(parent, entry);
        return;
      } catch (error) {
        const filled = error instanceof FsError && error.code === "ENOTEMPTY";
        if (!filled || tries === TRIES) throw error;
      }
    }
  }

  async #empty(directory: Ino): Promise<void> {
    let cursor = "0";
    do {
      this.#signal?.throwIfAborted();
      const batch = await this.#parts.meta.readdir(directory, cursor, false);
      cursor = batch.cursor;
      const entries = batch.entries.map(({ name, ino, type }) => ({
        ...{ name, known: ino, directory: type === TYPE_DIRECTORY },
      }));
      const files = entries.filter((entry) => !entry.directory);
      await this.#limit.map(files, (file) => this.#one(directory, file));
      for (const folder of entries.filter((entry) => entry.directory)) {
        await this.#removeDirectory(directory, folder);
      }
    } while (cursor !== "0");
  }

  /** A name that somebody else removed meanwhile is removed. */
  async #one(parent: Ino, { name, known, directory }: Named): Promise<void> {
    this.#signal?.throwIfAborted();
    const { meta, changed } = this.#parts;
    try {
      if (this.#skipTrash) await meta.removeForGood(ROOT, parent, name, { directory, known });
      else if (directory) await meta.rmdir(ROOT, parent, name, known);
      else await meta.unlink(ROOT, parent, name, known);
    } catch (error) {
      if (!(error instanceof FsError) || error.code !== "ENOENT") throw error;
      return;
    }
    this.removed++;
    this.#counter.add();
    const none = { data: [], slices: [], xattrs: [], directories: [], unexplained: [] };
    changed({ attrs: [known, parent], entries: [{ parent, name }], ...none });
  }
}
