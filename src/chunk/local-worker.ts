import { workerData } from "node:worker_threads";
import { serveJobs } from "../base/worker-thread.ts";
import { LocalBlocks, type LocalJob, type LocalSettings } from "./local-blocks.ts";

/** The worker thread that holds the blocks on disks of this machine. */

const blocks = LocalBlocks.open(workerData as LocalSettings);
serveJobs(async (job: LocalJob) => (await blocks).run(job));
