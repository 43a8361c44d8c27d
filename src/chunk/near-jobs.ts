import type { StorageSettings } from "../object/create.ts";
import type { BlockJob, BlockJobs, JobRunner } from "./block-jobs.ts";

/** Does small jobs itself that cost less than telling another thread of them, and has the others done there. */
export class NearJobs implements JobRunner {
  readonly #near: BlockJobs;
  readonly #far: JobRunner;

  /** `near` is closed with this. */
  constructor(near: BlockJobs, far: JobRunner) {
    this.#near = near;
    this.#far = far;
  }

  run(job: BlockJob): Promise<void> {
    return (this.#near.isCheap(job) ? this.#near : this.#far).run(job);
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
