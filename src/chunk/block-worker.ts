import { parentPort, workerData } from "node:worker_threads";
import { ObjectMissing } from "../object/storage.ts";
import { BlockJobs, type BlockJob, type JobSettings } from "./block-jobs.ts";

/** A worker thread that does block jobs for `WorkerPool`. */

export interface JobMessage {
  readonly number: number;
  readonly job: BlockJob;
}

export interface JobAnswer {
  readonly number: number;
  /** Absent: done. */
  readonly error?: { readonly message: string; readonly missing: boolean; readonly stack?: string };
}

const port = parentPort;
if (port === null) throw new Error("This program is a worker thread");
const jobs = BlockJobs.open(workerData as JobSettings);

port.on("message", ({ number, job }: JobMessage) => {
  jobs
    .then((ready) => ready.run(job))
    .then(
      () => ({ number }),
      (error: unknown) => ({ number, error: told(error) }),
    )
    .then((answer: JobAnswer) => {
      port.postMessage(answer);
    })
    .catch((error: unknown) => {
      throw error;
    });
});

function told(error: unknown): NonNullable<JobAnswer["error"]> {
  if (!(error instanceof Error)) return { message: String(error), missing: false };
  return {
    message: error.message,
    missing: error instanceof ObjectMissing,
    ...(error.stack === undefined ? {} : { stack: error.stack }),
  };
}
