import { availableParallelism } from "node:os";
import { WorkerThread } from "../base/worker-thread.ts";
import { BlockJobs, type JobSettings } from "../chunk/block-jobs.ts";
import { BlockStore, type LocalOptions } from "../chunk/block-store.ts";
import type { LocalAnswer, LocalJob, LocalSettings } from "../chunk/local-blocks.ts";
import { WorkerPool } from "../chunk/worker-pool.ts";
import type { Format } from "../meta/format.ts";
import type { MountValues } from "../options/mount.ts";
import { diskCacheOptions, stagingOptions } from "./cache-settings.ts";

/** The blocks of a volume as a mount uses them: threads, disk cache, staging. */

export interface StorePlaces extends Pick<JobSettings, "storage" | "spoolFd"> {
  readonly readOnly: boolean;
}

/** @throws Error in one sentence when the settings are wrong */
export async function openStore(
  format: Format,
  values: MountValues,
  { storage, spoolFd, readOnly }: StorePlaces,
): Promise<BlockStore> {
  const settings: JobSettings = {
    ...{ storage, spoolFd, compression: format.Compression, ioRetries: values["io-retries"] },
    ...{ putTimeoutMs: values["put-timeout"], getTimeoutMs: values["get-timeout"] },
  };
  const threads = values["io-threads"] ?? defaultThreads();
  // Opened here in any case: what is wrong with the settings is told before anything is mounted.
  const jobs = await BlockJobs.open(settings);
  return new BlockStore(threads === 0 ? jobs : new WorkerPool(settings, threads), {
    ...{ blockSize: format.BlockSize * 1024, hashPrefix: format.HashPrefix },
    ...{ maxUploads: values["max-uploads"], maxDownloads: values["max-downloads"] },
    ...{ maxDeletes: values["max-deletes"], rangeReads: jobs.rangeReads },
    localPath: (key) => jobs.localPath(key),
    local: localOptions(format, values, { settings, readOnly, files: isFile(jobs) }),
  });
}

/** Half of the cores: the others serve the kernel, and the application. */
function defaultThreads(): number {
  return Math.min(Math.max(1, Math.floor(availableParallelism() / 2)), 4);
}

function isFile(jobs: BlockJobs): boolean {
  return jobs.localPath("") !== undefined;
}

/** `files`: objects are plain files of this machine, which a cache could only repeat. */
function localOptions(
  format: Format,
  values: MountValues,
  { settings, readOnly, files }: { settings: JobSettings; readOnly: boolean; files: boolean },
): LocalOptions | undefined {
  const writeback = values.writeback && !readOnly;
  if (files && values["cache-dir"] === undefined && !writeback) return undefined;
  const cache = diskCacheOptions(format, values, values["buffer-size"]);
  if (cache === undefined) return undefined;
  const staging = stagingOptions(values, { readOnly, maxUploads: values["max-uploads"] });
  const local: LocalSettings = { cache, staging, jobs: settings };
  return {
    blocks: new WorkerThread<LocalJob, LocalAnswer>(
      new URL("../chunk/local-worker.ts", import.meta.url),
      local,
    ),
    writeback,
    uploadAtEnd: values["upload-hours"] === undefined,
    keepRead: values["cache-partial-only"] ? "partial" : "all",
    keepWritten: values["cache-large-write"] ? "all" : "partial",
    prefetch: values.prefetch,
  };
}
