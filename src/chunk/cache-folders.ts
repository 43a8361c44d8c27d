import { globSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { variable } from "../base/environment.ts";

/** Where a volume's blocks are cached, from what `--cache-dir` says (JuiceFS pkg/chunk/disk_cache.go, 1.4). */

/** The word for no folder at all. */
const MEMORY = "memory";

/** `JUICEFS_CACHE`: where the folder that JuiceFS takes would be lost, as in the managed plugin. */
export function defaultCacheDir(): string {
  const folder = process.getuid?.() === 0 ? "/var/jfsCache" : join(homedir(), ".juicefs", "cache");
  return variable("JUICEFS_CACHE") ?? folder;
}

/**
 * Folders separated by `:`, or by `,` where there is none; patterns stand for the folders that match them now. Below each of
 * them lies one for the volume. Empty where blocks are to be kept in memory only.
 *
 * @throws RangeError when a pattern matches nothing
 */
export function cacheFolders(given: string, uuid: string): string[] {
  if (given === MEMORY) return [];
  const named = namedFolders(given);
  const folders = named.flatMap((part) => {
    const path = resolve(part);
    if (!/[*?[]/.test(path)) return [path];
    const found = globSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name));
    if (found.length > 0) return found;
    throw new RangeError(`Cannot use cache-dir "${part}": no folder matches it`);
  });
  return [...new Set(folders)].toSorted().map((folder) => join(folder, uuid));
}

/** The same folders for a process that runs elsewhere. */
export function absoluteFolders(given: string): string {
  if (given === MEMORY) return given;
  return namedFolders(given)
    .map((part) => resolve(part))
    .join(":");
}

function namedFolders(given: string): string[] {
  return given.split(given.includes(":") ? ":" : ",").filter((part) => part !== "");
}
