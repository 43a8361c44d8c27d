import pLimit, { type LimitFunction } from "p-limit";
import { retry } from "../base/retry.ts";
import type { StorageSettings } from "../object/create.ts";
import { ReplaceableStorage } from "../object/replaceable.ts";
import { failure, ObjectMissing, type ByteRange, type ObjectStorage } from "../object/storage.ts";
import { BufferPool } from "./buffer-pool.ts";
import { codecOf, type Codec } from "./codec.ts";
import { readPlaces } from "./spool.ts";

/** What is done to a block, with its key: the part of the work that costs CPU by the byte, in whatever thread. */

export type BlockJob =
  /** Stores `size` bytes: those given, or those at `places` of the spool (offset and length in turn). */
  | {
      readonly kind: "put";
      readonly key: string;
      readonly size: number;
      readonly bytes?: Uint8Array;
      readonly places?: readonly number[];
    }
  /** Reads a block, or a part of one that is stored as it is, into shared memory. */
  | {
      readonly kind: "get";
      readonly key: string;
      readonly into: Uint8Array;
      readonly range?: ByteRange;
    }
  | { readonly kind: "delete"; readonly key: string };

/** Tells another thread that objects lie elsewhere, or are asked for with other keys. Holds secrets. */
export interface StorageChange {
  readonly kind: "storage";
  readonly storage: StorageSettings;
}

/** What a thread needs to do jobs. Holds secrets. */
export interface JobSettings {
  readonly storage: StorageSettings;
  readonly compression: string;
  /** The spool's file, open in this process. */
  readonly spoolFd: number;
  /** Tries after the first one. */
  readonly ioRetries: number;
  readonly putTimeoutMs: number;
  readonly getTimeoutMs: number;
}

/** Does jobs; nothing is queued here. */
export interface JobRunner {
  run(job: BlockJob): Promise<void>;
  /**
   * Works with this storage from now on; jobs under way try again there.
   *
   * @throws Error in one sentence; the storage stays what it was then
   */
  useStorage(storage: StorageSettings): Promise<void>;
  close(): Promise<void>;
}

const BUFFERS_KEPT = 2;
/** To copy more than that, and to sum it up, takes longer than to tell another thread. */
const CHEAP_BYTES_MAX = 256 << 10;

function bytesOf(job: Exclude<BlockJob, { kind: "delete" }>): number {
  return job.kind === "put" ? job.size : job.into.length;
}

export class BlockJobs implements JobRunner {
  readonly #storage: ReplaceableStorage;
  readonly #codec: Codec;
  readonly #settings: JobSettings;
  readonly #writes: LimitFunction;
  readonly #buffers = new BufferPool(BUFFERS_KEPT);

  static async open(settings: JobSettings): Promise<BlockJobs> {
    return new BlockJobs(await ReplaceableStorage.open(settings.storage), settings);
  }

  private constructor(storage: ReplaceableStorage, settings: JobSettings) {
    this.#storage = storage;
    this.#codec = codecOf(settings.compression);
    this.#settings = settings;
    this.#writes = pLimit(storage.limits.writesAtOnce ?? Infinity);
  }

  /** False where a part of a block costs the whole one. */
  get rangeReads(): boolean {
    return this.#storage.limits.rangeReads && this.#codec.name === "none";
  }

  /** True where a job costs less than a message to another thread and its answer. */
  isCheap(job: BlockJob): boolean {
    if (this.#codec.name !== "none" || this.#storage.limits.cheapRequests !== true) return false;
    return job.kind !== "delete" && bytesOf(job) <= CHEAP_BYTES_MAX;
  }

  /** The file that holds a block's plain bytes, where that is a file of this machine. */
  localPath(key: string): string | undefined {
    return this.#codec.name === "none" ? this.#storage.localPath(key) : undefined;
  }

  run(job: BlockJob): Promise<void> {
    switch (job.kind) {
      case "put":
        return this.#writes(() => this.#put(job));
      case "get":
        return this.#get(job);
      default:
        return this.#try((storage) =>
          storage.delete(job.key, { timeoutMs: this.#settings.putTimeoutMs }),
        );
    }
  }

  useStorage(storage: StorageSettings): Promise<void> {
    return this.#storage.replace(storage);
  }

  close(): Promise<void> {
    return this.#storage.close();
  }

  async #put({ key, size, bytes, places = [] }: BlockJob & { kind: "put" }): Promise<void> {
    const taken = bytes === undefined ? this.#buffers.take(size) : undefined;
    const data = bytes ?? this.#fromSpool(taken, size, places);
    try {
      const parts = await this.#codec.encode([data]);
      const { putTimeoutMs: timeoutMs } = this.#settings;
      await this.#try((storage) => storage.put(key, parts, { timeoutMs }));
    } finally {
      if (taken !== undefined) this.#buffers.give(taken);
    }
  }

  #fromSpool(buffer: Buffer | undefined, size: number, places: readonly number[]): Buffer {
    const data = (buffer ?? Buffer.alloc(0)).subarray(0, size);
    readPlaces(this.#settings.spoolFd, places, data);
    return data;
  }

  async #get({ key, into, range }: BlockJob & { kind: "get" }): Promise<void> {
    const { getTimeoutMs: timeoutMs } = this.#settings;
    await this.#try(async (storage) => {
      const plain = this.#codec.name === "none";
      const stored = plain ? into : Buffer.allocUnsafe(this.#codec.bound(into.length));
      const length = await storage.get(key, stored, range, { timeoutMs });
      if (!plain) await this.#decode(key, stored.subarray(0, length), into);
      else if (length !== into.length) {
        throw new Error(`Object "${key}" gave ${length} bytes, expected ${into.length}`);
      }
    });
  }

  async #decode(key: string, stored: Uint8Array, into: Uint8Array): Promise<void> {
    try {
      await this.#codec.decode(stored, into);
    } catch (cause) {
      throw failure("read", key, cause);
    }
  }

  #try(request: (storage: ObjectStorage) => Promise<void>): Promise<void> {
    return retry(
      {
        attempts: this.#settings.ioRetries + 1,
        pauseMs: (attempt) => Math.min((attempt - 1) ** 2 * 200, 10_000),
        worthRetrying: (error) => !(error instanceof ObjectMissing),
      },
      () => this.#storage.use(request),
    );
  }
}
