import { join } from "node:path";
import { BoundedWork } from "../base/bounded-work.ts";
import type { BlockRange, VerifyLevel } from "./block-file.ts";
import { CacheFolder, type FolderCounts } from "./cache-folder.ts";
import { CacheRing } from "./cache-ring.ts";
import type { Eviction } from "./eviction.ts";

/**
 * Blocks on disks of this machine, plain, in folders that other JuiceFS clients can use too. A cache: nothing in it is needed,
 * and whatever happens to it, a block is not found or not kept. Keys are those of objects, below the volume's prefix.
 *
 * Runs in one thread, any; its options can be handed there. Disks are waited for, nothing else is held up.
 */

export interface DiskCacheOptions {
  /** The volume's own folders, one a disk (`cacheFolders`). */
  readonly folders: readonly string[];
  readonly mode: number;
  readonly verify: VerifyLevel;
  readonly eviction: Eviction;
  /** Of all folders together. */
  readonly capacityBytes: number;
  /** Blocks in all folders; 0: as many as the disks have room for. */
  readonly items: number;
  readonly freeRatio: number;
  readonly expireMs: number;
  readonly scanIntervalMs: number;
  /** Bytes that wait to be written at most; what comes on top is not kept. */
  readonly queueBytes: number;
}

export interface PutOptions {
  /** Waits for room in the queue instead of giving the block up. */
  readonly wait?: boolean;
}

export interface CacheCounts extends FolderCounts {
  /** Blocks that were not kept, for too many waited. */
  dropped: number;
  blocks: number;
  bytes: number;
}

interface Queued {
  readonly parts: readonly Uint8Array[];
  readonly length: number;
  readonly written: Promise<boolean>;
}

const WRITES_AT_ONCE = 4;

export class DiskCache {
  readonly #folders: readonly CacheFolder[];
  readonly #queueBytes: number;
  readonly #writes: BoundedWork;
  readonly #queue = new Map<string, Queued>();
  readonly #waiting: (() => void)[] = [];
  #queued = 0;
  #dropped = 0;
  #ring: CacheRing<CacheFolder>;
  /** Which folders are on the ring, a bit each. */
  #ringOf = -1;

  /** Never fails: a folder that cannot be used is told and looked at again later. */
  static async open(options: DiskCacheOptions): Promise<DiskCache> {
    const count = options.folders.length;
    const own = {
      ...options,
      capacityBytes: options.capacityBytes / count,
      items: Math.ceil(options.items / count),
    };
    const folders = await Promise.all(
      options.folders.map((path) => CacheFolder.open({ ...own, path })),
    );
    return new DiskCache(folders, options);
  }

  private constructor(folders: readonly CacheFolder[], { queueBytes }: DiskCacheOptions) {
    this.#folders = folders;
    this.#queueBytes = queueBytes;
    this.#writes = new BoundedWork(WRITES_AT_ONCE * folders.length);
    this.#ring = new CacheRing(folders);
  }

  /**
   * Reads a block of `length` bytes, or a range of it, into `into`.
   *
   * @returns false when it is not here; `into` may hold anything then
   */
  async get(
    key: string,
    length: number,
    into: Uint8Array,
    range: BlockRange = { offset: 0, length },
  ): Promise<boolean> {
    const queued = this.#queue.get(key);
    if (queued !== undefined) {
      copyRange(queued.parts, range, into);
      return true;
    }
    const folder = this.folderOf(key);
    if (folder === undefined) return false;
    if (await folder.read(key, length, { into, range })) return true;
    // It may have been put elsewhere: by an older release, or while another folder was not there.
    for (const other of this.#folders) {
      const may = other === this.#ring.formerly(key) ? other.mayHave(key) : other.knows(key);
      if (other !== folder && may && (await other.read(key, length, { into, range }))) return true;
    }
    return false;
  }

  /** The file of a block that is here, plain bytes first. */
  fileOf(key: string): string | undefined {
    const folder = this.folderOf(key);
    return folder?.knows(key) === true ? join(folder.place.raw, key) : undefined;
  }

  /** Whether a block is here; looks on the disks where that is not known. */
  async holds(key: string): Promise<boolean> {
    if (this.#queue.has(key) || this.#folders.some((folder) => folder.knows(key))) return true;
    return (await this.folderOf(key)?.holds(key)) === true;
  }

  /**
   * Keeps a block: the concatenation of `parts`, which must stay untouched until it settles.
   *
   * @returns false when it is not kept
   */
  async put(
    key: string,
    parts: readonly Uint8Array[],
    { wait = false }: PutOptions = {},
  ): Promise<boolean> {
    const known = this.#queue.get(key);
    if (known !== undefined) return known.written;
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (this.#queued > 0 && this.#queued + length > this.#queueBytes) {
      if (!wait) {
        this.#dropped++;
        return false;
      }
      while (this.#queued > 0 && this.#queued + length > this.#queueBytes) {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    }
    const written = this.#write(key, parts, length);
    this.#queue.set(key, { parts, length, written });
    return written;
  }

  /** Forgets a block: its slice is deleted. */
  async remove(key: string): Promise<void> {
    await this.#queue.get(key)?.written;
    await Promise.all(this.#folders.map((folder) => folder.remove(key)));
  }

  /** The folder that a block belongs to; undefined where no folder can be used. */
  folderOf(key: string): CacheFolder | undefined {
    let usable = 0;
    for (const [at, folder] of this.#folders.entries()) if (folder.usable) usable += 2 ** at;
    if (usable !== this.#ringOf) {
      this.#ringOf = usable;
      this.#ring = new CacheRing(this.#folders.filter((folder) => folder.usable));
    }
    return this.#ring.of(key);
  }

  get folders(): readonly CacheFolder[] {
    return this.#folders;
  }

  counts(): CacheCounts {
    const sum: CacheCounts = {
      ...{ hits: 0, misses: 0, writes: 0, evicted: 0, damaged: 0 },
      ...{ dropped: this.#dropped, blocks: 0, bytes: 0 },
    };
    for (const { counts, blocks, bytes } of this.#folders) {
      for (const [name, count] of Object.entries(counts) as [keyof FolderCounts, number][]) {
        sum[name] += count;
      }
      sum.blocks += blocks;
      sum.bytes += bytes;
    }
    return sum;
  }

  /** Settles when what lies in the folders is known. */
  async scanned(): Promise<void> {
    await Promise.all(this.#folders.map((folder) => folder.scanned()));
  }

  /** Settles when everything that waits is written. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#queue.values()].map(({ written }) => written));
    await Promise.all(this.#folders.map((folder) => folder.close()));
  }

  async #write(key: string, parts: readonly Uint8Array[], length: number): Promise<boolean> {
    this.#queued += length;
    let kept = false;
    const done = Promise.withResolvers<void>();
    try {
      await this.#writes.start(async () => {
        try {
          kept = (await this.folderOf(key)?.write(key, parts, length)) === true;
        } finally {
          done.resolve();
        }
      });
      await done.promise;
      return kept;
    } finally {
      this.#queued -= length;
      this.#queue.delete(key);
      this.#waiting.shift()?.();
    }
  }
}

/** The bytes of a range of parts that follow one another. */
function copyRange(
  parts: readonly Uint8Array[],
  { offset, length }: BlockRange,
  into: Uint8Array,
): void {
  let start = 0;
  for (const part of parts) {
    const from = Math.max(offset - start, 0);
    const to = Math.min(offset + length - start, part.length);
    if (from < to) into.set(part.subarray(from, to), start + from - offset);
    start += part.length;
  }
}
