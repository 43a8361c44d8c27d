import { WorkerThread } from "../base/worker-thread.ts";
import { ObjectMissing } from "../object/storage.ts";
import type { StorageSettings } from "../object/create.ts";
import type { BlockJob, JobRunner, JobSettings, StorageChange } from "./block-jobs.ts";

/** Worker threads that do block jobs, so that the thread that serves the kernel hands over a few words a block. */
export class WorkerPool implements JobRunner {
  readonly #settings: JobSettings;
  readonly #threads: readonly WorkerThread<BlockJob | StorageChange, undefined>[];

  constructor(settings: JobSettings, threads: number) {
    const program = new URL("block-worker.ts", import.meta.url);
    this.#settings = settings;
    this.#threads = Array.from({ length: threads }, () => new WorkerThread(program, settings));
  }

  async run(job: BlockJob): Promise<void> {
    const thread = this.#threads.reduce((best, one) => (one.busy < best.busy ? one : best));
    try {
      await thread.run(job);
    } catch (error) {
      const missing = error instanceof Error && error.name === ObjectMissing.name;
      throw missing ? new ObjectMissing(job.key, { cause: error }) : error;
    }
  }

  async useStorage(storage: StorageSettings): Promise<void> {
    const settings = { ...this.#settings, storage };
    const change = { kind: "storage", storage } as const;
    await Promise.all(this.#threads.map((thread) => thread.renew(settings, change)));
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }
}
