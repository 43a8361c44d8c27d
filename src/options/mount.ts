import { cacheTable } from "./cache.ts";
import {
  bandwidth,
  choice,
  count,
  duration,
  onOff,
  owner,
  rsaPassphrase,
  size,
  text,
} from "./specs.ts";
import type { OptionSpec, OptionTable, OptionValues } from "./table.ts";
import { takenTable } from "./taken.ts";
import { MIB, parseCount, parseDuration, parseMode, parseSize } from "./values.ts";

/** What `mount` takes, under JuiceFS's own names (cmd/mount.go and cmd/flags.go, 1.4). Sizes are bytes, times milliseconds. */

const umask: OptionSpec<number | undefined> = {
  ...{ group: "FUSE", value: "bits", initial: undefined, parse: parseMode },
  help: "permission bits that new files never get, instead of the caller's own",
};

const fuseOptions: OptionSpec<string> = {
  ...{ group: "FUSE", value: "options", initial: "", parse: (given) => given },
  help: "options of mount(8), comma-separated, such as ro or writeback_cache",
};

const ioThreads: OptionSpec<number | undefined> = {
  ...{ group: "STORAGE", value: "n", initial: undefined, parse: (given) => parseCount(given) },
  help: "threads that store, read and compress; 0: the thread that serves does it",
  shown: "half of the cores",
};

/** JuiceFS takes a shorter one for this too; a session that says nothing for five of them is dead to others. */
const HEARTBEAT_LEAST_MS = 1000;
/** A timer cannot wait for a month: it would end at once, again and again. */
const HEARTBEAT_MOST_MS = 86_400_000;
/** JuiceFS takes less for this too: a block must find room. */
const BUFFER_LEAST = 32 * MIB;

function parseInside(path: string): string {
  if (!path.split("/").includes("..")) return path;
  throw new RangeError("expected a path from the volume's root on, without ..");
}

export const mountTable = {
  "enable-xattr": onOff({ group: "FUSE", help: "extended attributes", initial: true }),
  "root-squash": owner({ group: "FUSE", help: "root becomes this user and group" }),
  "all-squash": owner({ group: "FUSE", help: "everybody becomes this user and group" }),
  umask,
  "enable-cap": onOff({ group: "FUSE", help: "keep the attribute security.capability" }),
  "enable-selinux": onOff({ group: "FUSE", help: "keep the attribute security.selinux" }),
  "enable-ioctl": onOff({ group: "FUSE", help: "chattr and lsattr", initial: true }),
  o: fuseOptions,

  subdir: text({
    ...{ group: "META", value: "path", parse: parseInside },
    help: "show this directory of the volume only; it is made where there is none",
  }),
  "atime-mode": choice(["noatime", "relatime", "strictatime"], {
    ...{ group: "META", help: "when reading is noted" },
  }),
  "skip-dir-mtime": duration({
    ...{ group: "META", initial: 0, shown: "0s" },
    help: "leave the times of a directory that changed so lately",
  }),
  "open-cache": duration({
    ...{ group: "META", initial: 0, shown: "0s" },
    help: "opening a file does not ask what others changed where that was asked so lately",
  }),
  heartbeat: duration({
    ...{ group: "META", initial: 12_000, shown: "12s" },
    help: "between two signs of life; the same on all clients",
    parse: (given) =>
      Math.min(Math.max(parseDuration(given), HEARTBEAT_LEAST_MS), HEARTBEAT_MOST_MS),
  }),
  "read-only": onOff({ group: "META", help: "write nothing, leave no session" }),
  "no-bgjob": onOff({ group: "META", help: "leave clean-up to other clients" }),

  storage: text({ group: "STORAGE", help: "another driver than the volume's own" }),
  bucket: text({ group: "STORAGE", help: "another bucket than the volume's own", value: "url" }),
  "storage-class": text({
    ...{ group: "STORAGE", value: "class" },
    help: "another class of new objects than the volume's own",
  }),
  tag: text({
    ...{ group: "STORAGE", value: "key=value" },
    help: "another tag of new objects than the volume's own",
  }),
  "rsa-passphrase": rsaPassphrase("STORAGE"),
  "check-storage": onOff({
    ...{ group: "STORAGE" },
    help: "write, read and delete an object before the volume is shown",
  }),
  "storage-sync": onOff({
    ...{ group: "STORAGE", initial: true },
    help: "file storage answers when the disk has the bytes",
  }),
  "get-timeout": duration({
    ...{ group: "STORAGE", initial: 60_000, shown: "60s" },
    help: "of one try of a download",
  }),
  "put-timeout": duration({
    ...{ group: "STORAGE", initial: 60_000, shown: "60s" },
    help: "of one try of an upload",
  }),
  "io-retries": count({ group: "STORAGE", help: "tries after a failed one", initial: 10 }),
  "max-uploads": count({ group: "STORAGE", help: "uploads at once", initial: 20, least: 1 }),
  "max-downloads": count({ group: "STORAGE", help: "downloads at once", initial: 200, least: 1 }),
  "max-deletes": count({
    ...{ group: "STORAGE", initial: 10 },
    help: "deletions at once; 0 deletes nothing",
  }),
  "upload-limit": bandwidth({
    ...{ group: "STORAGE", shown: "the volume's own" },
    help: "most that is uploaded; 0 without limit",
  }),
  "download-limit": bandwidth({
    ...{ group: "STORAGE", shown: "the volume's own" },
    help: "most that is downloaded; 0 without limit",
  }),

  "io-threads": ioThreads,
  "buffer-size": size({
    ...{ group: "CACHE", unit: MIB, initial: 300 * MIB, shown: "300M" },
    help: "memory for data that is being written and read",
    parse: (given) => Math.max(parseSize(given, MIB), BUFFER_LEAST),
  }),
  ...cacheTable,
  prefetch: count({
    ...{ group: "CACHE", initial: 1 },
    help: "blocks fetched whole at once because parts of them were read",
  }),
  "max-readahead": size({
    ...{ group: "CACHE", unit: MIB, initial: 32 * MIB, shown: "32M" },
    help: "how far to read ahead of a file that is read in order",
  }),
  ...takenTable,
} satisfies OptionTable;

export type MountValues = OptionValues<typeof mountTable>;

/** For each try that an operation may make. */
const PATIENCE_A_TRY_MS = 3000;

/** How long an operation waits for metadata, in milliseconds. */
export function patienceMs(values: Pick<MountValues, "io-retries">): number {
  return PATIENCE_A_TRY_MS * Math.max(values["io-retries"], 1);
}
