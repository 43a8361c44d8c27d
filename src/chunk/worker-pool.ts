import { Worker } from "node:worker_threads";
import { log } from "../base/log.ts";
import { ObjectMissing } from "../object/storage.ts";
import type { BlockJob, JobRunner, JobSettings } from "./block-jobs.ts";
import type { JobAnswer, JobMessage } from "./block-worker.ts";

/**
 * Worker threads that do block jobs, so that the thread that serves the kernel hands over a few words a block. Bytes lie in
 * memory that both see: the spool's file, or a SharedArrayBuffer. A worker that dies takes its jobs with it and is replaced.
 */

interface UnderWay {
  readonly key: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

class Thread {
  readonly worker: Worker;
  readonly jobs = new Map<number, UnderWay>();

  constructor(settings: JobSettings) {
    this.worker = new Worker(new URL("block-worker.ts", import.meta.url), { workerData: settings });
  }
}

export class WorkerPool implements JobRunner {
  readonly #settings: JobSettings;
  readonly #threads: Thread[] = [];
  #number = 0;
  #closed = false;

  constructor(settings: JobSettings, threads: number) {
    this.#settings = settings;
    for (let started = 0; started < threads; started++) this.#start();
  }

  run(job: BlockJob): Promise<void> {
    const thread = this.#leastBusy();
    const number = ++this.#number;
    return new Promise((resolve, reject) => {
      thread.jobs.set(number, { key: job.key, resolve, reject });
      thread.worker.postMessage({ number, job } satisfies JobMessage);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  #leastBusy(): Thread {
    return this.#threads.reduce((best, one) => (one.jobs.size < best.jobs.size ? one : best));
  }

  #start(): void {
    const thread = new Thread(this.#settings);
    this.#threads.push(thread);
    thread.worker.on("message", ({ number, error }: JobAnswer) => {
      const job = thread.jobs.get(number);
      thread.jobs.delete(number);
      if (job === undefined) return;
      if (error === undefined) job.resolve();
      else job.reject(failure(job.key, error));
    });
    thread.worker.on("error", (error) => {
      log.error({ error }, "a worker thread died");
    });
    thread.worker.on("exit", () => {
      this.#threads.splice(this.#threads.indexOf(thread), 1);
      if (!this.#closed) this.#start();
      for (const { key, reject } of thread.jobs.values()) {
        reject(new Error(`The worker thread died with object "${key}" under way`));
      }
    });
  }
}

function failure(key: string, { message, missing, stack }: NonNullable<JobAnswer["error"]>): Error {
  const error = missing ? new ObjectMissing(key) : new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
