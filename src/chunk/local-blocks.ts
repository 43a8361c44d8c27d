import type { ByteRange } from "../object/storage.ts";
import { BlockJobs, type JobSettings, type StorageChange } from "./block-jobs.ts";
import { BufferPool } from "./buffer-pool.ts";
import { DiskCache, type CacheCounts, type DiskCacheOptions } from "./disk-cache.ts";
import { readPlaces } from "./spool.ts";
import type { PendingUploads } from "./staged-block.ts";
import { Staging, type StagingOptions } from "./staging.ts";

/**
 * Blocks on disks of this machine: those that are cached, and those that are staged there and not uploaded yet. Lives in a
 * thread of its own (`local-worker.ts`), for it checks and copies bytes.
 */

export interface LocalSettings {
  readonly cache: DiskCacheOptions;
  readonly staging: StagingOptions;
  /** For the uploads of what is staged. */
  readonly jobs: JobSettings;
}

/** Bytes to keep: in memory that both threads see, or in the spool (offset and length in turn). */
export interface LocalSource {
  readonly size: number;
  readonly bytes?: Uint8Array;
  readonly places?: readonly number[];
}

export type LocalJob =
  | {
      readonly kind: "get";
      readonly key: string;
      readonly length: number;
      readonly into: Uint8Array;
      readonly range?: ByteRange;
    }
  | {
      readonly kind: "keep";
      readonly key: string;
      readonly source: LocalSource;
      readonly wait: boolean;
    }
  | {
      readonly kind: "stage";
      readonly key: string;
      readonly source: LocalSource;
      readonly again: boolean;
    }
  | { readonly kind: "remove"; readonly key: string }
  | { readonly kind: "holds"; readonly key: string }
  /** Forgets a block that can be had again. */
  | { readonly kind: "evict"; readonly key: string }
  | StorageChange
  | { readonly kind: "status" }
  | { readonly kind: "drain"; readonly limitMs: number }
  | { readonly kind: "close" };

/** What became of a job; absent members have nothing to say. */
export interface LocalAnswer {
  /** It was or is here; it was kept, staged, evicted. For `remove`: no object of it is there, or ever will be. */
  readonly done: boolean;
  /** The file that holds the block's plain bytes from its start. */
  readonly path?: string | undefined;
  readonly status?: LocalStatus;
}

export interface LocalStatus {
  readonly cache: CacheCounts;
  readonly pending: PendingUploads;
}

const BUFFERS_KEPT = 2;

export class LocalBlocks {
  readonly #cache: DiskCache;
  readonly #staging: Staging;
  readonly #jobs: BlockJobs;
  readonly #spoolFd: number;
  readonly #buffers = new BufferPool(BUFFERS_KEPT);

  static async open(settings: LocalSettings): Promise<LocalBlocks> {
    const cache = await DiskCache.open(settings.cache);
    // Staging tries again by itself.
    const jobs = await BlockJobs.open({ ...settings.jobs, ioRetries: 0 });
    return new LocalBlocks(cache, jobs, settings);
  }

  private constructor(cache: DiskCache, jobs: BlockJobs, { staging, jobs: own }: LocalSettings) {
    this.#cache = cache;
    this.#jobs = jobs;
    this.#spoolFd = own.spoolFd;
    const target = {
      upload: ({ key, length }: { key: string; length: number }, bytes: Uint8Array) =>
        jobs.run({ kind: "put", key, size: length, bytes }),
      fetch: ({ key }: { key: string }, into: Uint8Array) => jobs.run({ kind: "get", key, into }),
    };
    this.#staging = Staging.open(cache, target, staging);
  }

  async run(job: LocalJob): Promise<LocalAnswer> {
    switch (job.kind) {
      case "get":
        return this.#get(job);
      case "keep":
        return this.#withBytes(job.source, (bytes) =>
          this.#cache.put(job.key, [bytes], { wait: job.wait }),
        );
      case "stage":
        return this.#withBytes(job.source, (bytes) =>
          this.#staging.stage(job.key, [bytes], job.again),
        );
      case "remove":
        return this.#remove(job.key);
      case "holds":
        return { done: this.#staging.has(job.key) || (await this.#cache.holds(job.key)) };
      case "evict":
        return { done: await this.#evict(job.key) };
      case "drain":
        if (job.limitMs > 0) await this.#staging.drain(AbortSignal.timeout(job.limitMs));
        return this.#status();
      case "storage":
        await this.#jobs.useStorage(job.storage);
        return { done: true };
      case "close":
        await this.#staging.close();
        await this.#cache.close();
        await this.#jobs.close();
        return this.#status();
      default:
        return this.#status();
    }
  }

  async #get({ key, length, into, range }: LocalJob & { kind: "get" }): Promise<LocalAnswer> {
    if (await this.#cache.get(key, length, into, range)) {
      return { done: true, path: this.#cache.fileOf(key) };
    }
    return { done: await this.#staging.get(key, length, into, range) };
  }

  async #remove(key: string): Promise<LocalAnswer> {
    const done = await this.#staging.remove(key);
    await this.#cache.remove(key);
    return { done };
  }

  /** What is staged stays. */
  async #evict(key: string): Promise<boolean> {
    if (this.#staging.has(key) || !(await this.#cache.holds(key))) return false;
    await this.#cache.remove(key);
    return true;
  }

  #status(): LocalAnswer {
    return {
      done: true,
      status: { cache: this.#cache.counts(), pending: this.#staging.pending() },
    };
  }

  /** `work` is done with the bytes when it has settled. */
  async #withBytes(
    { size, bytes, places = [] }: LocalSource,
    work: (bytes: Uint8Array) => Promise<boolean>,
  ): Promise<LocalAnswer> {
    if (bytes !== undefined) return { done: await work(bytes) };
    const buffer = this.#buffers.take(size);
    try {
      const data = buffer.subarray(0, size);
      readPlaces(this.#spoolFd, places, data);
      return { done: await work(data) };
    } finally {
      this.#buffers.give(buffer);
    }
  }
}
