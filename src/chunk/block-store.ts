import { setImmediate } from "node:timers/promises";
import pLimit, { type LimitFunction } from "p-limit";
import { log } from "../base/log.ts";
import type { ByteRange } from "../object/storage.ts";
import { blockKey, blockLength } from "./block.ts";
import type { BlockJob, JobRunner } from "./block-jobs.ts";
import type { LocalAnswer, LocalJob, LocalSource, LocalStatus } from "./local-blocks.ts";
import { QuickReads } from "./quick-reads.ts";

/**
 * Blocks of slices: in object storage, and on disks of this machine where they are cached or staged. Knows their names, where
 * to look first, and how many travel at once. A block is written once under its name and never changed. Bytes are worked on by
 * a `JobRunner` and by `LocalBlocks`, in other threads.
 */

export interface BlockStoreOptions {
  readonly blockSize: number;
  readonly hashPrefix: boolean;
  readonly maxUploads: number;
  readonly maxDownloads: number;
  readonly maxDeletes: number;
  /** False where a part of a block costs the whole one: compressed, encrypted. */
  readonly rangeReads: boolean;
  /** The file that holds an object's plain bytes, where objects are files of this machine. */
  readonly localPath?: ((key: string) => string | undefined) | undefined;
  readonly local?: LocalOptions | undefined;
}

/** Blocks on disks of this machine. */
export interface LocalOptions {
  readonly blocks: { run(job: LocalJob): Promise<LocalAnswer> };
  /** A block that is staged counts as stored. */
  readonly writeback: boolean;
  /** Blocks that were read are kept: all, or those that are shorter than a full one. */
  readonly keepRead: "all" | "partial";
  readonly keepWritten: "all" | "partial";
  /** What is staged is uploaded before the store is closed, rather than left for the next one. */
  readonly uploadAtEnd: boolean;
  /** Whole blocks that are fetched at once because parts of them were read; 0: none is. */
  readonly prefetch: number;
}

/** A block that is not there: its slice was deleted, or it never was. */
export { ObjectMissing, type ByteRange } from "../object/storage.ts";

/** One block of a slice. */
export interface BlockId {
  readonly id: bigint;
  /** Bytes of the whole slice. */
  readonly sliceSize: number;
  readonly index: number;
}

/** Bytes to store: themselves, or where they lie in the spool. */
export type BlockSource =
  Uint8Array | { readonly places: readonly number[]; readonly size: number };

const PREFETCH_QUEUE_MAX = 10;
/** A store that takes nothing is not waited for for ever. */
const UPLOAD_AT_END_MS = 600_000;

export class BlockStore {
  readonly blockSize: number;
  readonly rangeReads: boolean;
  readonly #runner: JobRunner;
  readonly #options: BlockStoreOptions;
  readonly #uploads: LimitFunction;
  readonly #downloads: LimitFunction;
  readonly #deletes: LimitFunction | undefined;
  readonly #prefetches: LimitFunction | undefined;
  readonly #quick = new QuickReads();
  #uploadAtEnd: boolean;
  /** Blocks that are being written to disks of this machine. */
  #keeping = 0;
  /** How it was when the store was closed. */
  #lastStatus: LocalStatus | undefined;

  constructor(runner: JobRunner, options: BlockStoreOptions) {
    this.#runner = runner;
    this.#options = options;
    this.#uploadAtEnd = options.local?.uploadAtEnd === true;
    this.blockSize = options.blockSize;
    this.rangeReads = options.rangeReads;
    this.#uploads = pLimit(options.maxUploads);
    this.#downloads = pLimit(options.maxDownloads);
    this.#deletes = options.maxDeletes === 0 ? undefined : pLimit(options.maxDeletes);
    const prefetch = options.local?.prefetch ?? 0;
    this.#prefetches = prefetch === 0 ? undefined : pLimit(prefetch);
  }

  /** Whether blocks are on their way to the store or to this machine's disks, or from the store. */
  get transferring(): boolean {
    return this.#uploads.activeCount + this.#downloads.activeCount + this.#keeping > 0;
  }

  /**
   * Stores one block, or stages it; its bytes must stay untouched until it settles. `again`: a process before may have
   * done so already.
   */
  async put(id: bigint, index: number, given: BlockSource, again = false): Promise<void> {
    const source = sourceOf(given);
    const { local } = this.#options;
    if (local?.writeback === true) {
      const key = this.#key(id, index, source.size);
      const { done } = await local.blocks.run({ kind: "stage", key, source, again });
      if (done) return;
    }
    return this.upload(id, index, given);
  }

  /** Stores one block where others find it too, also with write-back; its bytes as in `put`. */
  async upload(id: bigint, index: number, given: BlockSource): Promise<void> {
    const source = sourceOf(given);
    const key = this.#key(id, index, source.size);
    const { local } = this.#options;
    const upload = this.#uploads(() => this.#runner.run({ kind: "put", key, ...source }));
    const partial = source.size < this.blockSize;
    if (local === undefined || (local.keepWritten === "partial" && !partial)) return upload;
    // Its bytes may go when this settles.
    const [uploaded] = await Promise.allSettled([upload, this.#keepLater(key, source)]);
    if (uploaded.status === "rejected") throw uploaded.reason;
  }

  /**
   * Reads a whole block into shared memory, which is just as long.
   *
   * @throws ObjectMissing
   */
  async get(block: BlockId, into: Uint8Array): Promise<void> {
    const key = this.#key(block.id, block.index, into.length);
    if (await this.#getLocally(key, into.length, into)) return;
    await this.#downloads(() => this.#runner.run({ kind: "get", key, into }));
  }

  /** Keeps a block on disk that was read. @returns what its bytes must stay untouched for, if anything */
  keep(block: BlockId, bytes: Uint8Array): Promise<unknown> | undefined {
    const { local } = this.#options;
    if (local === undefined) return undefined;
    if (local.keepRead === "partial" && bytes.length === this.blockSize) return undefined;
    const key = this.#key(block.id, block.index, bytes.length);
    if (this.#quick.fileOf(key) !== undefined) return undefined;
    return this.#keep(key, { bytes, size: bytes.length });
  }

  /** Whether a block lies on a disk of this machine; undefined where none of them ever does. */
  async isHere(block: BlockId): Promise<boolean | undefined> {
    const { key } = this.#named(block);
    const { local } = this.#options;
    if (local !== undefined) return (await local.blocks.run({ kind: "holds", key })).done;
    return this.#options.localPath?.(key) === undefined ? undefined : true;
  }

  /**
   * Puts a block on a disk of this machine.
   *
   * @returns whether there was room for it
   * @throws ObjectMissing
   */
  async bringHere(block: BlockId): Promise<boolean> {
    const { length, key } = this.#named(block);
    const bytes = new Uint8Array(new SharedArrayBuffer(length));
    await this.#downloads(() => this.#runner.run({ kind: "get", key, into: bytes }));
    return this.#keep(key, { bytes, size: length }, true);
  }

  /** Removes a block from the disks of this machine, unless it is stored nowhere else. @returns whether it was there */
  async evict(block: BlockId): Promise<boolean> {
    const { key } = this.#named(block);
    this.#quick.forget(key);
    return (await this.#options.local?.blocks.run({ kind: "evict", key }))?.done === true;
  }

  /** Reads a small part of a block at once where it lies on this machine and in the system's memory. */
  readQuickly(block: BlockId, range: ByteRange, into: Uint8Array): boolean {
    const { key, length } = this.#named(block);
    const known = this.#quick.fileOf(key);
    if (known !== undefined) return this.#quick.read(key, known, { range, into });
    const path = this.#options.localPath?.(key);
    if (path === undefined) return false;
    return this.#quick.read(key, { path, length, checked: false }, { range, into });
  }

  /**
   * Reads a part of a block, from this machine or where `rangeReads`.
   *
   * @returns false where only the whole block can be had
   */
  async getRange(block: BlockId, range: ByteRange, into: Uint8Array): Promise<boolean> {
    const { key, length } = this.#named(block);
    if (await this.#getLocally(key, length, into, range)) return true;
    if (!this.rangeReads) return false;
    await this.#downloads(() => this.#runner.run({ kind: "get", key, into, range }));
    this.#prefetch(key, length);
    return true;
  }

  /** Deletes all blocks of a slice. @throws Error where deleting is turned off */
  async deleteSlice(id: bigint, sliceSize: number): Promise<void> {
    const limit = this.#deletes;
    if (limit === undefined) throw new Error("Deleting is turned off by --max-deletes=0");
    const count = Math.ceil(sliceSize / this.blockSize);
    const deletions = Array.from({ length: count }, (_, index) => {
      const key = this.#key(id, index, blockLength(sliceSize, index, this.blockSize));
      return limit(() => this.#delete(key));
    });
    const failed = (await Promise.allSettled(deletions)).find((one) => one.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  /** What is cached and staged on disks of this machine; undefined where nothing is. */
  async localStatus(): Promise<LocalStatus | undefined> {
    return this.#lastStatus ?? (await this.#options.local?.blocks.run({ kind: "status" }))?.status;
  }

  /** What is staged is uploaded before the store is closed, whatever the hour. */
  wantUploadAtEnd(): void {
    this.#uploadAtEnd = true;
  }

  /** Uploads what is staged, where that is wanted at the end; says what stays. */
  async uploadStaged(): Promise<void> {
    const { local } = this.#options;
    if (local === undefined) return;
    const limitMs = this.#uploadAtEnd ? UPLOAD_AT_END_MS : 0;
    const pending = (await local.blocks.run({ kind: "drain", limitMs })).status?.pending;
    if (pending === undefined || pending.blocks === 0) return;
    log.warn(
      pending,
      "staged blocks stay on this machine's disk until the volume is mounted again",
    );
  }

  async close(): Promise<void> {
    this.#prefetches?.clearQueue();
    this.#quick.close();
    this.#lastStatus = (await this.#options.local?.blocks.run({ kind: "close" }))?.status;
    await this.#runner.close();
  }

  #named({ id, sliceSize, index }: BlockId): { key: string; length: number } {
    const length = blockLength(sliceSize, index, this.blockSize);
    return { key: this.#key(id, index, length), length };
  }

  #key(id: bigint, index: number, size: number): string {
    return blockKey(id, index, size, this.#options.hashPrefix);
  }

  async #getLocally(
    key: string,
    length: number,
    into: Uint8Array,
    range?: ByteRange,
  ): Promise<boolean> {
    const { local } = this.#options;
    if (local === undefined) return false;
    const job: LocalJob = { kind: "get", key, length, into, ...(range && { range }) };
    const { done, path } = await local.blocks.run(job);
    if (path !== undefined) this.#quick.learn(key, { path, length, checked: true });
    return done;
  }

  /** Somebody waits for the upload, nobody for the copy on this machine: its request leaves first. */
  async #keepLater(key: string, source: LocalSource): Promise<boolean> {
    await setImmediate();
    return this.#keep(key, source);
  }

  async #keep(key: string, source: LocalSource, wait = false): Promise<boolean> {
    this.#keeping++;
    try {
      const kept = await this.#options.local?.blocks.run({ kind: "keep", key, source, wait });
      return kept?.done === true;
    } catch (error) {
      log.warn({ error, key }, "a block cannot be cached");
      return false;
    } finally {
      this.#keeping--;
    }
  }

  /** A part of a block was wanted: the next one comes from disk. */
  #prefetch(key: string, length: number): void {
    const limit = this.#prefetches;
    if (limit === undefined || limit.pendingCount >= PREFETCH_QUEUE_MAX) return;
    if (this.#options.local?.keepRead === "partial" && length === this.blockSize) return;
    void limit(async () => {
      const bytes = new Uint8Array(new SharedArrayBuffer(length));
      try {
        await this.#downloads(() => this.#runner.run({ kind: "get", key, into: bytes }));
      } catch {
        return;
      }
      await this.#keep(key, { bytes, size: length }, true);
    });
  }

  async #delete(key: string): Promise<void> {
    const { local, localPath } = this.#options;
    this.#quick.forget(key, localPath?.(key));
    if (local !== undefined) {
      const { done } = await local.blocks.run({ kind: "remove", key });
      // It was staged, and never became an object.
      if (done) return;
    }
    await this.#runner.run({ kind: "delete", key } satisfies BlockJob);
  }
}

function sourceOf(given: BlockSource): LocalSource {
  return given instanceof Uint8Array ? { bytes: given, size: given.length } : given;
}
