import { lstatSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { mountPoints } from "../fuse/mount.ts";

/** Where a path lies: the mount of ours that shows it, and its inode there. */
export interface Located {
  readonly mountpoint: string;
  /** Without a symbolic link in it, but for the last name. */
  readonly path: string;
  /** As the mount shows it, in decimal. */
  readonly ino: string;
}

/**
 * @param follow a symbolic link means what it points to
 * @throws Error in one sentence: no such path, or it lies on no JuiceFS mount
 */
export function locate(given: string, { follow = false } = {}): Located {
  const absolute = resolve(given);
  try {
    const path = follow
      ? realpathSync(absolute)
      : join(realpathSync(dirname(absolute)), basename(absolute));
    const { ino, dev } = lstatSync(path, { bigint: true });
    const mount = mountPoints()
      .filter(({ type, target }) => type === "fuse.juicefs" && isBelow(path, target))
      .toSorted((a, b) => a.target.length - b.target.length)
      .at(-1);
    if (mount !== undefined && lstatSync(mount.target, { bigint: true }).dev === dev) {
      return { mountpoint: mount.target, path, ino: ino.toString() };
    }
  } catch (cause) {
    const { code = "" } = cause as NodeJS.ErrnoException;
    throw new Error(`Cannot use "${given}": ${code === "ENOENT" ? "no such path" : code}`, {
      cause,
    });
  }
  throw new Error(`Cannot use "${given}": it lies on no mounted volume`);
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`);
}
