import { randomUUID } from "node:crypto";
import { access, chmod, open, readFile, rename, stat, statfs, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { DurableFolders } from "../base/folder-sync.ts";
import { makeFolders } from "../base/make-folders.ts";
import { writeAll } from "../base/write-all.ts";
import { checksumsOf } from "./block-file.ts";

/**
 * A cache folder of one volume on disk (JuiceFS pkg/chunk/disk_cache.go, 1.4): `raw/` holds blocks, `rawstaging/` those that
 * are not stored anywhere else, `.lock` the folder's identity. Knows names and modes, remembers nothing.
 */

const LOCK = ".lock";

export interface PlaceOptions {
  /** Permission bits of files. */
  readonly mode: number;
  readonly checksums: boolean;
}

export interface Space {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly totalInodes: number;
  readonly freeInodes: number;
}

export class CachePlace {
  readonly path: string;
  readonly #options: PlaceOptions;

  constructor(path: string, options: PlaceOptions) {
    this.path = path;
    this.#options = options;
  }

  get raw(): string {
    return join(this.path, "raw");
  }

  get staging(): string {
    return join(this.path, "rawstaging");
  }

  /** The folder's identity and the device it lies on; made where it is new. */
  async identify(): Promise<{ id: string; device: number }> {
    await this.makeFolder(this.path);
    const lock = join(this.path, LOCK);
    let id = await readFile(lock, "utf8").catch(() => "");
    if (id === "") {
      id = randomUUID();
      await using file = await open(lock, "w", 0o666);
      await file.writeFile(id);
      await file.chmod(0o666);
    }
    return { id, device: (await stat(this.path)).dev };
  }

  /** The identity that lies there now; undefined where there is none. */
  async identity(): Promise<string | undefined> {
    return readFile(join(this.path, LOCK), "utf8").catch(() => undefined);
  }

  /** The device of the nearest folder above that is there. */
  async deviceBelow(): Promise<number> {
    for (let at = this.path; ; at = dirname(at)) {
      const info = await stat(at).catch(() => undefined);
      if (info !== undefined) return info.dev;
      if (at === dirname(at)) return -1;
    }
  }

  /** Whether a block's file is there. */
  async has(key: string): Promise<boolean> {
    return access(join(this.raw, key)).then(
      () => true,
      () => false,
    );
  }

  async space(): Promise<Space> {
    const { bsize, blocks, bavail, files, ffree } = await statfs(this.path);
    return {
      ...{ totalBytes: blocks * bsize, freeBytes: bavail * bsize },
      ...{ totalInodes: files, freeInodes: ffree },
    };
  }

  /**
   * Writes a block's file under another name and renames it.
   *
   * @param durable answers when bytes and name are on disk
   */
  async write(path: string, parts: readonly Uint8Array[], durable?: DurableFolders): Promise<void> {
    const temporary = `${path}.tmp`;
    const file = await this.#openNew(temporary, durable);
    try {
      const trailer = this.#options.checksums ? [checksumsOf(parts)] : [];
      await writeAll(file.fd, [...parts, ...trailer]);
      if (durable !== undefined) await file.datasync();
      await file.close();
      await rename(temporary, path);
    } catch (error) {
      await file.close().catch(() => undefined);
      await unlink(temporary).catch(() => undefined);
      throw error;
    }
    await durable?.sync(dirname(path));
  }

  /** Who may read may also list and write, as JuiceFS makes them. */
  async makeFolder(path: string, durable?: DurableFolders): Promise<void> {
    const readers = this.#options.mode & 0o444;
    const mode = this.#options.mode | (readers >> 1) | (readers >> 2);
    const first = await makeFolders(path, mode);
    if (first === undefined) return;
    durable?.made(first, path);
    for (let at = path; at.length >= first.length; at = dirname(at)) await chmod(at, mode);
  }

  async #openNew(path: string, durable?: DurableFolders): ReturnType<typeof open> {
    try {
      return await open(path, "w", this.#options.mode);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      // Where the folder itself is gone its disk may be: nothing is made on the one below.
      await stat(this.path);
      await this.makeFolder(dirname(path), durable);
      return open(path, "w", this.#options.mode);
    }
  }
}
