import { workerData } from "node:worker_threads";
import { serveJobs } from "../base/worker-thread.ts";
import { BlockJobs, type BlockJob, type JobSettings } from "./block-jobs.ts";

/** A worker thread that does block jobs. */

const jobs = BlockJobs.open(workerData as JobSettings);
serveJobs(async (job: BlockJob) => {
  await (await jobs).run(job);
  return undefined;
});
