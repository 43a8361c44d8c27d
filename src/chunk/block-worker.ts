import { workerData } from "node:worker_threads";
import { serveJobs } from "../base/worker-thread.ts";
import { BlockJobs, type BlockJob, type JobSettings, type StorageChange } from "./block-jobs.ts";

/** A worker thread that does block jobs. */

const jobs = BlockJobs.open(workerData as JobSettings);
serveJobs(async (job: BlockJob | StorageChange) => {
  const own = await jobs;
  await (job.kind === "storage" ? own.useStorage(job.storage) : own.run(job));
  return undefined;
});
