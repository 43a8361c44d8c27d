import { choice, count, duration, onOff, size, text } from "./specs.ts";
import type { OptionSpec, OptionTable, OptionValues } from "./table.ts";
import { GIB, parseDuration, parseHours, parseMode, parseRatio } from "./values.ts";

/** What `mount` takes about blocks on disks of this machine (cmd/flags.go, 1.4). Sizes are bytes, times milliseconds. */

const mode: OptionSpec<number> = {
  ...{ group: "CACHE", value: "bits", initial: 0o600, shown: "0600", parse: parseMode },
  help: "permission bits of cached files",
};

const freeRatio: OptionSpec<number> = {
  ...{ group: "CACHE", value: "part", initial: 0.1, shown: "0.1", parse: parseRatio },
  help: "part of the disk that the cache leaves free",
};

const hours: OptionSpec<{ start: number; end: number } | undefined> = {
  ...{ group: "CACHE", value: "from-to", initial: undefined, shown: "always", parse: parseHours },
  help: "upload staged blocks in these hours of the day only, such as 22-6",
};

const scanInterval: OptionSpec<number> = {
  ...{ group: "CACHE", value: "duration", initial: 3_600_000, shown: "1h" },
  help: "between two walks over the cache folders; 0: one at the start; -1: none",
  parse: (given) => (given.startsWith("-") ? -1 : parseDuration(given)),
};

export const cacheTable = {
  "cache-dir": text({
    ...{ group: "CACHE", value: "folders", shown: "/var/jfsCache" },
    help: "folders on disks, separated by colons; memory: none",
  }),
  "cache-size": size({
    ...{ group: "CACHE", unit: 2 ** 20, initial: 100 * GIB, shown: "100G" },
    help: "bytes in all cache folders, MiB; 0: nothing is cached",
  }),
  "cache-items": count({ group: "CACHE", initial: 0, help: "blocks in all of them; 0: no limit" }),
  "cache-mode": mode,
  "free-space-ratio": freeRatio,
  "cache-partial-only": onOff({
    group: "CACHE",
    help: "cache blocks shorter than a full one only",
  }),
  "cache-large-write": onOff({ group: "CACHE", help: "cache full blocks when they are written" }),
  "verify-cache-checksum": choice(["extend", "none", "full", "shrink"], {
    ...{ group: "CACHE", help: "what of a cached block is checked when it is read" },
  }),
  "cache-eviction": choice(["2-random", "none", "lru"], {
    ...{ group: "CACHE", help: "which blocks go first" },
  }),
  "cache-scan-interval": scanInterval,
  "cache-expire": duration({
    ...{ group: "CACHE", initial: 0, shown: "never" },
    help: "blocks that were not used for so long go",
  }),

  writeback: onOff({ group: "CACHE", help: "blocks on a disk here count as stored" }),
  "writeback-threshold-size": size({
    ...{ group: "CACHE", unit: 1, initial: 0, shown: "0" },
    help: "larger blocks are uploaded at once; 0: none are",
  }),
  "writeback-sync": onOff({
    ...{ group: "CACHE", initial: true },
    help: "a staged block counts when the disk has its bytes",
  }),
  "upload-delay": duration({
    ...{ group: "CACHE", initial: 0, shown: "0s" },
    help: "staged blocks wait so long before they are uploaded",
  }),
  "upload-hours": hours,
  "max-stage-write": count({
    ...{ group: "CACHE", initial: 1000 },
    help: "blocks that are staged at once; others are uploaded",
  }),
} satisfies OptionTable;

export type CacheValues = OptionValues<typeof cacheTable>;
