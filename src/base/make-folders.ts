import { mkdirSync, statSync } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Folders with those above them. Node's own recursive mkdir never ends where a folder is there and nothing can be made in it
 * because it does not know such a name, as below /proc.
 */

/** @returns the first that was made; undefined when all were there */
export async function makeFolders(path: string, mode = 0o777): Promise<string | undefined> {
  try {
    await mkdir(path, mode);
    return path;
  } catch (error) {
    if (!isMissing(error, path))
      return thereAlready(error, await stat(path).catch(() => undefined));
  }
  const first = await makeFolders(dirname(path), mode);
  try {
    await mkdir(path, mode);
    return first ?? path;
  } catch (error) {
    thereAlready(error, await stat(path).catch(() => undefined));
    return first;
  }
}

/** The same at once. */
export function makeFoldersSync(path: string, mode = 0o777): string | undefined {
  try {
    mkdirSync(path, mode);
    return path;
  } catch (error) {
    if (!isMissing(error, path)) {
      return thereAlready(error, statSync(path, { throwIfNoEntry: false }));
    }
  }
  const first = makeFoldersSync(dirname(path), mode);
  try {
    mkdirSync(path, mode);
    return first ?? path;
  } catch (error) {
    thereAlready(error, statSync(path, { throwIfNoEntry: false }));
    return first;
  }
}

/** True where a folder above is missing. */
function isMissing(error: unknown, path: string): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT" && dirname(path) !== path;
}

/** Somebody else may have made it meanwhile. @throws Error the one given, where no folder is there */
function thereAlready(error: unknown, found: { isDirectory(): boolean } | undefined): undefined {
  if (found?.isDirectory() !== true) throw error;
  return undefined;
}
