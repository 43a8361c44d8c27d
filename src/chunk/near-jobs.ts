import type { StorageSettings } from "../object/create.ts";
import type { BlockJob, BlockJobs, JobRunner } from "./block-jobs.ts";

/**
 * Does small jobs itself that cost less than telling another thread of them, and has the others done there. To make or open a
 * file of this machine holds the thread up: where that waits for a disk other threads do it, and here it is only tried now
 * and then.
 */

/** In milliseconds: longer than a good disk needs to sync a file, which holds nobody up. */
const QUICK_MS = 20;
/** So many of the last jobs count. */
const MEMORY = 16;
const RARELY = 64;

type NearBlocks = JobRunner & Pick<BlockJobs, "isCheap" | "localPath">;

export class NearJobs implements JobRunner {
  readonly #near: NearBlocks;
  readonly #far: JobRunner;
  /** How long jobs on files took lately. */
  readonly #took = { put: 0, get: 0, delete: 0 };
  #skipped = 0;

  /** `near` is closed with this. */
  constructor(near: NearBlocks, far: JobRunner) {
    this.#near = near;
    this.#far = far;
  }

  run(job: BlockJob): Promise<void> {
    if (!this.#near.isCheap(job)) return this.#far.run(job);
    if (this.#near.localPath(job.key) === undefined) return this.#near.run(job);
    const slow = this.#took[job.kind] > QUICK_MS;
    return slow && ++this.#skipped % RARELY !== 0 ? this.#far.run(job) : this.#timed(job);
  }

  async #timed(job: BlockJob): Promise<void> {
    const begun = performance.now();
    try {
      await this.#near.run(job);
    } finally {
      const took = performance.now() - begun;
      this.#took[job.kind] += (took - this.#took[job.kind]) / MEMORY;
    }
  }

  /** Told wrong by one, the other is not told. */
  async useStorage(storage: StorageSettings): Promise<void> {
    await this.#near.useStorage(storage);
    await this.#far.useStorage(storage);
  }

  async close(): Promise<void> {
    await Promise.all([this.#near.close(), this.#far.close()]);
  }
}
