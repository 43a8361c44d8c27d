import pLimit, { type LimitFunction } from "p-limit";
import { retry } from "../base/retry.ts";
import { failure, ObjectMissing, type ByteRange, type ObjectStorage } from "../object/storage.ts";
import { blockKey, blockLength } from "./block.ts";
import type { Codec } from "./codec.ts";

/**
 * Blocks of slices in object storage: names, compression, tries, how many at once. A block is written once under its
 * name and never changed.
 */

export interface BlockStoreOptions {
  readonly blockSize: number;
  readonly hashPrefix: boolean;
  /** Tries after the first one. */
  readonly ioRetries: number;
  readonly maxUploads: number;
  readonly maxDownloads: number;
  readonly putTimeoutMs: number;
  readonly getTimeoutMs: number;
}

/** One block of a slice. */
export interface BlockId {
  readonly id: bigint;
  /** Bytes of the whole slice. */
  readonly sliceSize: number;
  readonly index: number;
}

export class BlockStore {
  readonly blockSize: number;
  /** False where a part of a block costs the whole one. */
  readonly rangeReads: boolean;
  readonly #storage: ObjectStorage;
  readonly #codec: Codec;
  readonly #options: BlockStoreOptions;
  readonly #uploads: LimitFunction;
  readonly #downloads: LimitFunction;

  constructor(storage: ObjectStorage, codec: Codec, options: BlockStoreOptions) {
    this.#storage = storage;
    this.#codec = codec;
    this.#options = options;
    this.blockSize = options.blockSize;
    this.rangeReads = storage.limits.rangeReads && codec.name === "none";
    this.#uploads = pLimit(options.maxUploads);
    this.#downloads = pLimit(options.maxDownloads);
  }

  /** Stores one block; `data` must stay untouched until it settles. */
  async put(id: bigint, index: number, data: Uint8Array): Promise<void> {
    const key = this.#key(id, index, data.length);
    await this.#uploads(async () => {
      const parts = await this.#codec.encode([data]);
      await this.#try(this.#options.putTimeoutMs, (timeoutMs) =>
        this.#storage.put(key, parts, { timeoutMs }),
      );
    });
  }

  /** Reads a whole block into `into`, which is just as long. */
  async get(block: BlockId, into: Uint8Array): Promise<void> {
    const key = this.#key(block.id, block.index, into.length);
    await this.#downloads(() =>
      this.#try(this.#options.getTimeoutMs, async (timeoutMs) => {
        const plain = this.#codec.name === "none";
        const stored = plain ? into : Buffer.allocUnsafe(this.#codec.bound(into.length));
        const length = await this.#storage.get(key, stored, undefined, { timeoutMs });
        if (!plain) await this.#decode(key, stored.subarray(0, length), into);
        else if (length !== into.length) throw cutShort(key, length, into.length);
      }),
    );
  }

  /** Reads a part of a block, where `rangeReads`. */
  async getRange(block: BlockId, range: ByteRange, into: Uint8Array): Promise<void> {
    const size = blockLength(block.sliceSize, block.index, this.blockSize);
    const key = this.#key(block.id, block.index, size);
    await this.#downloads(() =>
      this.#try(this.#options.getTimeoutMs, async (timeoutMs) => {
        const length = await this.#storage.get(key, into, range, { timeoutMs });
        if (length !== range.length) throw cutShort(key, length, range.length);
      }),
    );
  }

  /** Deletes all blocks of a slice. */
  async deleteSlice(id: bigint, sliceSize: number): Promise<void> {
    for (let index = 0; index * this.blockSize < sliceSize; index++) {
      const key = this.#key(id, index, blockLength(sliceSize, index, this.blockSize));
      await this.#try(this.#options.putTimeoutMs, () => this.#storage.delete(key));
    }
  }

  async close(): Promise<void> {
    await this.#storage.close();
  }

  async #decode(key: string, stored: Uint8Array, into: Uint8Array): Promise<void> {
    try {
      await this.#codec.decode(stored, into);
    } catch (cause) {
      throw failure("read", key, cause);
    }
  }

  #key(id: bigint, index: number, size: number): string {
    return blockKey(id, index, size, this.#options.hashPrefix);
  }

  #try<T>(timeoutMs: number, work: (timeoutMs: number) => Promise<T>): Promise<T> {
    return retry(
      {
        attempts: this.#options.ioRetries + 1,
        pauseMs: (attempt) => Math.min((attempt - 1) ** 2 * 200, 10_000),
        worthRetrying: (error) => !(error instanceof ObjectMissing),
      },
      () => work(timeoutMs),
    );
  }
}

function cutShort(key: string, length: number, expected: number): Error {
  return new Error(`Object "${key}" has ${length} bytes, expected ${expected}`);
}
