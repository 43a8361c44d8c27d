import pLimit, { type LimitFunction } from "p-limit";
import type { ByteRange } from "../object/storage.ts";
import { blockKey, blockLength } from "./block.ts";
import type { BlockJob, JobRunner } from "./block-jobs.ts";

/**
 * Blocks of slices in object storage: their names, and how many travel at once. A block is written once under its name and
 * never changed. Compression, encryption and requests are done by a `JobRunner`, in this thread or in others.
 */

export interface BlockStoreOptions {
  readonly blockSize: number;
  readonly hashPrefix: boolean;
  readonly maxUploads: number;
  readonly maxDownloads: number;
  readonly maxDeletes: number;
  /** False where a part of a block costs the whole one: compressed, encrypted. */
  readonly rangeReads: boolean;
}

/** A block that is not there: its slice was deleted, or it never was. */
export { ObjectMissing } from "../object/storage.ts";

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

export class BlockStore {
  readonly blockSize: number;
  readonly rangeReads: boolean;
  readonly #runner: JobRunner;
  readonly #options: BlockStoreOptions;
  readonly #uploads: LimitFunction;
  readonly #downloads: LimitFunction;
  readonly #deletes: LimitFunction | undefined;

  constructor(runner: JobRunner, options: BlockStoreOptions) {
    this.#runner = runner;
    this.#options = options;
    this.blockSize = options.blockSize;
    this.rangeReads = options.rangeReads;
    this.#uploads = pLimit(options.maxUploads);
    this.#downloads = pLimit(options.maxDownloads);
    this.#deletes = options.maxDeletes === 0 ? undefined : pLimit(options.maxDeletes);
  }

  /** Stores one block; its bytes must stay untouched until it settles. */
  put(id: bigint, index: number, source: BlockSource): Promise<void> {
    const bytes = source instanceof Uint8Array;
    const size = bytes ? source.length : source.size;
    const key = this.#key(id, index, size);
    const job: BlockJob = bytes
      ? { kind: "put", key, size, bytes: source }
      : { kind: "put", key, size, places: source.places };
    return this.#uploads(() => this.#runner.run(job));
  }

  /**
   * Reads a whole block into shared memory, which is just as long.
   *
   * @throws ObjectMissing
   */
  get(block: BlockId, into: Uint8Array): Promise<void> {
    const key = this.#key(block.id, block.index, into.length);
    return this.#downloads(() => this.#runner.run({ kind: "get", key, into }));
  }

  /** Reads a part of a block, where `rangeReads`. */
  getRange(block: BlockId, range: ByteRange, into: Uint8Array): Promise<void> {
    const size = blockLength(block.sliceSize, block.index, this.blockSize);
    const key = this.#key(block.id, block.index, size);
    return this.#downloads(() => this.#runner.run({ kind: "get", key, into, range }));
  }

  /** Deletes all blocks of a slice. @throws Error where deleting is turned off */
  async deleteSlice(id: bigint, sliceSize: number): Promise<void> {
    const limit = this.#deletes;
    if (limit === undefined) throw new Error("Deleting is turned off by --max-deletes=0");
    const count = Math.ceil(sliceSize / this.blockSize);
    const deletions = Array.from({ length: count }, (_, index) => {
      const key = this.#key(id, index, blockLength(sliceSize, index, this.blockSize));
      return limit(() => this.#runner.run({ kind: "delete", key }));
    });
    const failed = (await Promise.allSettled(deletions)).find((one) => one.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  close(): Promise<void> {
    return this.#runner.close();
  }

  #key(id: bigint, index: number, size: number): string {
    return blockKey(id, index, size, this.#options.hashPrefix);
  }
}
