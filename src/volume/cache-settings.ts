import { absoluteFolders, cacheFolders, defaultCacheDir } from "../chunk/cache-folders.ts";
import type { DiskCacheOptions } from "../chunk/disk-cache.ts";
import type { StagingOptions } from "../chunk/staging.ts";
import type { Format } from "../meta/format.ts";
import type { CacheValues } from "../options/cache.ts";

/** The options of a mount as those of its disk cache and staging. */

/** Part of the memory for data that may wait to be written to the cache. */
const QUEUE_PART = 0.2;

/** Undefined where nothing is cached on disk. @throws RangeError naming the folder that is wrong */
export function diskCacheOptions(
  format: Format,
  values: CacheValues,
  bufferBytes: number,
): DiskCacheOptions | undefined {
  const folders = cacheFolders(values["cache-dir"] ?? defaultCacheDir(), format.UUID);
  if (folders.length === 0 || values["cache-size"] === 0) return undefined;
  return {
    ...{ folders, mode: values["cache-mode"], verify: values["verify-cache-checksum"] },
    ...{ eviction: values["cache-eviction"], capacityBytes: values["cache-size"] },
    ...{ items: values["cache-items"], freeRatio: values["free-space-ratio"] },
    ...{ expireMs: values["cache-expire"], scanIntervalMs: values["cache-scan-interval"] },
    queueBytes: bufferBytes * QUEUE_PART,
  };
}

export function stagingOptions(
  values: CacheValues,
  { readOnly, maxUploads }: { readOnly: boolean; maxUploads: number },
): StagingOptions {
  return {
    ...{ writeback: values.writeback && !readOnly, hours: values["upload-hours"] },
    ...{ thresholdBytes: values["writeback-threshold-size"], delayMs: values["upload-delay"] },
    ...{ maxWrites: values["max-stage-write"], maxUploads, noSync: !values["writeback-sync"] },
  };
}

/** The same options for a process that runs in another folder. */
export function withAbsoluteFolders<Values extends CacheValues>(values: Values): Values {
  const given = values["cache-dir"];
  return given === undefined ? values : { ...values, "cache-dir": absoluteFolders(given) };
}
