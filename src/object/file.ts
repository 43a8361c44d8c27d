import {
  closeSync,
  existsSync,
  fdatasync,
  fstatSync,
  openSync,
  read as readFd,
  renameSync,
  rmSync,
} from "node:fs";
import { opendir, readdir, rm, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { DurableFolders } from "../base/folder-sync.ts";
import { makeFolders, makeFoldersSync } from "../base/make-folders.ts";
import { writeAll } from "../base/write-all.ts";
import {
  failure,
  ObjectMissing,
  type ByteRange,
  type ObjectInfo,
  type ObjectStorage,
} from "./storage.ts";

/**
 * Names are opened and moved in the thread that asks, a worker's: a way through the thread pool costs more than they do. What
 * waits for a disk goes through it.
 */
const [read, datasync] = [promisify(readFd), promisify(fdatasync)];

/** What a name begins with that is not an object yet, or never will be. */
const TEMPORARY = ".jfs.";

/**
 * Objects as files of a folder. Written under another name beside it, then renamed: a key leads to a whole object or to
 * none. With `sync` a put answers when file and name are on disk; without, as JuiceFS does it, the folder's file system
 * decides when that is.
 */
export class FileStorage implements ObjectStorage {
  readonly description: string;
  /** As many writes as the thread pool does. */
  readonly limits = { rangeReads: true, writesAtOnce: 4, cheapRequests: true };
  readonly #root: string;
  readonly #durable: DurableFolders | undefined;

  constructor(root: string, { sync }: { sync: boolean }) {
    this.#root = root.replace(/(?<=.)\/+$/, "");
    this.#durable = sync ? new DurableFolders(this.#root) : undefined;
    this.description = `file://${root}`;
  }

  async prepare(): Promise<void> {
    await makeFolders(this.#root);
    await this.#durable?.sync(this.#root);
  }

  async put(key: string, parts: readonly Uint8Array[]): Promise<void> {
    const path = join(this.#root, key);
    try {
      await this.#write(path, parts);
    } catch (error) {
      throw failure("write", key, error);
    }
  }

  async #write(path: string, parts: readonly Uint8Array[]): Promise<void> {
    const temporary = temporaryOf(path);
    const fd = this.#openNew(temporary);
    try {
      try {
        await writeAll(fd, parts);
        if (this.#durable !== undefined) await datasync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(temporary, path);
      await this.#durable?.sync(dirname(path));
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  }

  #openNew(path: string): number {
    try {
      return openSync(path, "w", 0o666);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      const folder = dirname(path);
      const first = makeFoldersSync(folder);
      if (first !== undefined) this.#durable?.made(first, folder);
      return openSync(path, "w", 0o666);
    }
  }

  async get(key: string, into: Uint8Array, range?: ByteRange): Promise<number> {
    const fd = openThere(join(this.#root, key), key);
    try {
      if (range === undefined) {
        const { size } = fstatSync(fd);
        if (size > into.length) {
          throw new RangeError(
            `Cannot read object "${key}": it has ${size} bytes, room is for ${into.length}`,
          );
        }
      }
      const wanted = Math.min(range?.length ?? into.length, into.length);
      return await readAll(fd, range?.offset ?? 0, into.subarray(0, wanted));
    } catch (error) {
      throw failure("read", key, error);
    } finally {
      closeSync(fd);
    }
  }

  async head(key: string): Promise<ObjectInfo> {
    const info = await stat(join(this.#root, key)).catch((error: unknown) =>
      missing("look at", key, error),
    );
    return { key, size: info.size, modified: info.mtime };
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    for await (const info of this.#walk(folder, prefix)) {
      if (info.key.startsWith(prefix)) yield info;
    }
  }

  async delete(key: string): Promise<void> {
    try {
      const path = join(this.#root, key);
      await Promise.all([removeFile(path), removeFile(temporaryOf(path))]);
    } catch (error) {
      throw failure("delete", key, error);
    }
  }

  localPath(key: string): string {
    return join(this.#root, key);
  }

  async removeAbandoned(before: Date, prefix = ""): Promise<number> {
    let removed = 0;
    // Others' volumes may lie beside this one.
    const folder = join(this.#root, prefix);
    if (!existsSync(folder)) return removed;
    const folders = await opendir(folder, { recursive: true, bufferSize: 512 });
    for await (const entry of folders) {
      if (!entry.isFile() || !entry.name.startsWith(TEMPORARY)) continue;
      const path = join(entry.parentPath, entry.name);
      const info = await stat(path).catch(() => undefined);
      if (info === undefined || info.mtime >= before) continue;
      await rm(path, { force: true });
      removed++;
    }
    return removed;
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }

  async *#walk(folder: string, prefix: string): AsyncIterable<ObjectInfo> {
    const entries = await readdir(join(this.#root, folder), { withFileTypes: true }).catch(
      (error: unknown) => {
        if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
        throw error;
      },
    );
    const keys = entries
      .filter(({ name }) => !name.startsWith(TEMPORARY))
      .map((entry) => folder + entry.name + (entry.isDirectory() ? "/" : ""));
    keys.sort((a, b) => (a < b ? -1 : 1));
    for (const key of keys) {
      if (!key.startsWith(prefix) && !prefix.startsWith(key)) continue;
      if (key.endsWith("/")) yield* this.#walk(key, prefix);
      else {
        const info = await this.head(key).catch(() => undefined);
        if (info !== undefined) yield info;
      }
    }
  }
}

/** The same for each try, so that another one, or a deletion, takes away what a writer left that died. */
function temporaryOf(path: string): string {
  return join(dirname(path), `${TEMPORARY}${basename(path).slice(0, 200)}.tmp.0`);
}

async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

function openThere(path: string, key: string): number {
  try {
    return openSync(path, "r");
  } catch (error) {
    return missing("read", key, error);
  }
}

/** @returns how many bytes there were */
async function readAll(fd: number, at: number, into: Uint8Array): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const { bytesRead } = await read(fd, into, done, into.length - done, at + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

function missing(action: string, key: string, error: unknown): never {
  if ((error as NodeJS.ErrnoException).code === "ENOENT")
    throw new ObjectMissing(key, { cause: error });
  throw failure(action, key, error);
}
