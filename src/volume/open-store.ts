import { availableParallelism } from "node:os";
import { WorkerThread } from "../base/worker-thread.ts";
import { BlockJobs, type JobSettings } from "../chunk/block-jobs.ts";
import { BlockStore, type LocalOptions } from "../chunk/block-store.ts";
import type { LocalAnswer, LocalJob, LocalSettings } from "../chunk/local-blocks.ts";
import { NearJobs } from "../chunk/near-jobs.ts";
import { WorkerPool } from "../chunk/worker-pool.ts";
import type { Format } from "../meta/format.ts";
import type { StorageSettings } from "../object/create.ts";
import type { MountValues } from "../options/mount.ts";
import { diskCacheOptions, stagingOptions } from "./cache-settings.ts";

/** The blocks of a volume as a mount uses them: threads, disk cache, staging. */

export interface OpenedStore {
  readonly store: BlockStore;
  /**
   * The volume's objects lie there from now on, or are asked for with other keys: in all threads.
   *
   * @throws Error in one sentence; the storage stays what it was then
   */
  useStorage(storage: StorageSettings): Promise<void>;
}

type LocalThread = WorkerThread<LocalJob, LocalAnswer>;

export interface StorePlaces extends Pick<JobSettings, "storage" | "spoolFd"> {
  readonly readOnly: boolean;
}

/** @throws Error in one sentence when the settings are wrong */
export async function openStore(
  format: Format,
  values: MountValues,
  { storage, spoolFd, readOnly }: StorePlaces,
): Promise<OpenedStore> {
  const settings: JobSettings = {
    ...{ storage, spoolFd, compression: format.Compression, ioRetries: values["io-retries"] },
    ...{ putTimeoutMs: values["put-timeout"], getTimeoutMs: values["get-timeout"] },
  };
  const threads = values["io-threads"] ?? defaultThreads();
  // Opened here in any case: what is wrong with the settings is told before anything is mounted.
  const jobs = await BlockJobs.open(settings);
  const runner = threads === 0 ? jobs : new NearJobs(jobs, new WorkerPool(settings, threads));
  const local = localSettings(format, values, { settings, readOnly, files: isFile(jobs) });
  const thread: LocalThread | undefined =
    local && new WorkerThread(new URL("../chunk/local-worker.ts", import.meta.url), local);
  const store = new BlockStore(runner, {
    ...{ blockSize: format.BlockSize * 1024, hashPrefix: format.HashPrefix },
    ...{ maxUploads: values["max-uploads"], maxDownloads: values["max-downloads"] },
    ...{ maxDeletes: values["max-deletes"], rangeReads: jobs.rangeReads },
    localPath: (key) => jobs.localPath(key),
    local: thread && localOptions(values, { thread, writeback: values.writeback && !readOnly }),
  });
  return {
    store,
    async useStorage(changed) {
      // Told wrong by one thread, no other is told.
      await runner.useStorage(changed);
      if (local === undefined || thread === undefined) return;
      const renewed = { ...local, jobs: { ...settings, storage: changed } };
      await thread.renew(renewed, { kind: "storage", storage: changed });
    },
  };
}

/** Half of the cores: the others serve the kernel, and the application. */
function defaultThreads(): number {
  return Math.min(Math.max(1, Math.floor(availableParallelism() / 2)), 4);
}

function isFile(jobs: BlockJobs): boolean {
  return jobs.localPath("") !== undefined;
}

/** What the thread for blocks on disks needs. `files`: objects are plain files of this machine, which a cache could only repeat. */
function localSettings(
  format: Format,
  values: MountValues,
  { settings, readOnly, files }: { settings: JobSettings; readOnly: boolean; files: boolean },
): LocalSettings | undefined {
  const writeback = values.writeback && !readOnly;
  if (files && values["cache-dir"] === undefined && !writeback) return undefined;
  const cache = diskCacheOptions(format, values, values["buffer-size"]);
  if (cache === undefined) return undefined;
  const staging = stagingOptions(values, { readOnly, maxUploads: values["max-uploads"] });
  return { cache, staging, jobs: settings };
}

function localOptions(
  values: MountValues,
  { thread, writeback }: { thread: LocalThread; writeback: boolean },
): LocalOptions {
  return {
    ...{ blocks: thread, writeback, prefetch: values.prefetch },
    uploadAtEnd: values["upload-hours"] === undefined,
    keepRead: values["cache-partial-only"] ? "partial" : "all",
    keepWritten: values["cache-large-write"] ? "all" : "partial",
  };
}
