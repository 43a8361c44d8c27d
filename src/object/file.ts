import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ObjectMissing, type ByteRange, type ObjectInfo, type ObjectStorage } from "./storage.ts";

/**
 * Objects as files of a folder. Written under another name beside it, then renamed: a key leads to a whole object or to
 * none. Not synced, as JuiceFS does it: the folder's file system decides when bytes are on disk.
 */
export class FileStorage implements ObjectStorage {
  readonly description: string;
  readonly limits = { rangeReads: true };
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
    this.description = `file://${root}`;
  }

  async prepare(): Promise<void> {
    await mkdir(this.#root, { recursive: true });
  }

  async put(key: string, parts: readonly Uint8Array[]): Promise<void> {
    const path = join(this.#root, key);
    const temporary = join(
      dirname(path),
      `.jfs.${basename(path).slice(0, 200)}.tmp.${randomBytes(5).toString("hex")}`,
    );
    const file = await openNew(temporary);
    try {
      await writeAll(file, parts);
      await file.close();
      await rename(temporary, path);
    } catch (error) {
      await file.close().catch(() => undefined);
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async get(key: string, into: Uint8Array, range?: ByteRange): Promise<number> {
    const file = await open(join(this.#root, key)).catch((error: unknown) => missing(error, key));
    try {
      if (range === undefined) {
        const { size } = await file.stat();
        if (size > into.length) {
          throw new RangeError(`Object "${key}" has ${size} bytes, room is for ${into.length}`);
        }
      }
      const wanted = Math.min(range?.length ?? into.length, into.length);
      let read = 0;
      while (read < wanted) {
        const at = (range?.offset ?? 0) + read;
        const { bytesRead } = await file.read(into, read, wanted - read, at);
        if (bytesRead === 0) break;
        read += bytesRead;
      }
      return read;
    } finally {
      await file.close();
    }
  }

  async head(key: string): Promise<ObjectInfo> {
    const info = await stat(join(this.#root, key)).catch((error: unknown) => missing(error, key));
    return { key, size: info.size, modified: info.mtime };
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    for await (const info of this.#walk(folder)) {
      if (info.key.startsWith(prefix)) yield info;
    }
  }

  async delete(key: string): Promise<void> {
    try {
      await unlink(join(this.#root, key));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }

  async *#walk(folder: string): AsyncIterable<ObjectInfo> {
    const entries = await readdir(join(this.#root, folder), { withFileTypes: true }).catch(
      () => [],
    );
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const key = folder + entry.name;
      if (entry.isDirectory()) yield* this.#walk(`${key}/`);
      else if (!entry.name.startsWith(".jfs.")) {
        const info = await this.head(key).catch(() => undefined);
        if (info !== undefined) yield info;
      }
    }
  }
}

async function openNew(path: string): ReturnType<typeof open> {
  try {
    return await open(path, "wx", 0o666);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    await mkdir(dirname(path), { recursive: true, mode: 0o777 });
    return open(path, "wx", 0o666);
  }
}

async function writeAll(
  file: Awaited<ReturnType<typeof open>>,
  parts: readonly Uint8Array[],
): Promise<void> {
  let left = parts.filter((part) => part.length > 0);
  while (left.length > 0) {
    let { bytesWritten } = await file.writev(left);
    let whole = 0;
    while (whole < left.length && bytesWritten >= (left[whole]?.length ?? 0)) {
      bytesWritten -= left[whole]?.length ?? 0;
      whole++;
    }
    left = left.slice(whole);
    const [first, ...rest] = left;
    if (first !== undefined && bytesWritten > 0) left = [first.subarray(bytesWritten), ...rest];
  }
}

function missing(error: unknown, key: string): never {
  if ((error as NodeJS.ErrnoException).code === "ENOENT")
    throw new ObjectMissing(key, { cause: error });
  throw error;
}
