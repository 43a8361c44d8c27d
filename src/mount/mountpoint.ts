import { closeSync, openSync, readdirSync, readlinkSync, rmdirSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { liesIn } from "../base/inside.ts";
import { makeFoldersSync } from "../base/make-folders.ts";
import { isMounted, mountPoints } from "../fuse/mount.ts";

/** What must be true before something is mounted. Each refusal is one sentence with the cure. */

/** @throws Error when this process cannot mount at all */
export function requireMounting(): void {
  if (process.getuid?.() !== 0) {
    throw new Error(`Cannot mount as user ${process.getuid?.()}: run as root`);
  }
}

/** The descriptor of a new, unmounted device. @throws Error */
export function openDevice(): number {
  try {
    return openSync("/dev/fuse", "r+");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new Error(
      `Cannot open /dev/fuse (${code}): load the kernel's module with modprobe fuse, or give the container --device /dev/fuse and CAP_SYS_ADMIN`,
      { cause },
    );
  }
}

export function closeDevice(fd: number): void {
  closeSync(fd);
}

/**
 * Makes the folder when it is missing. `needed`: what the processes of the mount read while they serve it.
 *
 * @returns the first folder that was made
 * @throws Error when something else is there
 */
export function prepareMountpoint(
  path: string,
  { nonempty, needed }: { nonempty: boolean; needed: readonly string[] },
): string | undefined {
  if (isMounted(path)) {
    throw new Error(
      `Cannot mount on "${path}": a volume is mounted there already; unmount it with juicefs umount`,
    );
  }
  const own = needed.find((one) => liesIn(one, path));
  if (own !== undefined) {
    throw new Error(
      `Cannot mount on "${path}": it would hide "${own}", which the mount itself needs; choose another mountpoint`,
    );
  }
  const kind = kindOf(path);
  if (kind === "missing") return madeFolder(path);
  if (kind === "other") throw new Error(`Cannot mount on "${path}": it is not a folder`);
  if (!nonempty && readdirSync(path).length > 0) {
    throw new Error(
      `Cannot mount on "${path}": the folder is not empty; choose another one, or hide what it holds with -o nonempty`,
    );
  }
  return undefined;
}

/** Removes the folders that were made for a mount that did not come about. */
export function removeMountpoint(path: string, first: string): void {
  try {
    for (let at = path; at.length >= first.length; at = dirname(at)) rmdirSync(at);
  } catch {
    // Somebody put something there meanwhile.
  }
}

/** As many symbolic links as the kernel follows. */
const LINKS_MAX = 40;

/**
 * A mountpoint as the kernel names it: absolute, without a symbolic link. What is mounted there is not touched, for it may be
 * dead.
 *
 * @throws Error when it is empty, as an unset variable is
 */
export function resolveMountpoint(given: string): string {
  if (given === "") throw new Error('Cannot use mountpoint "": expected the path of a folder');
  const mounted = new Set(mountPoints().map(({ target }) => target));
  let links = 0;
  const followed = (path: string): string => {
    if (path === "/" || mounted.has(path)) return path;
    const parent = followed(dirname(path));
    const here = join(parent, basename(path));
    const target = mounted.has(here) || ++links > LINKS_MAX ? undefined : linkTarget(here);
    return target === undefined ? here : followed(resolve(parent, target));
  };
  return followed(resolve(given));
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    // No link, or not there.
    return undefined;
  }
}

function madeFolder(path: string): string | undefined {
  try {
    return makeFoldersSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(
      `Cannot mount on "${path}": the folder is missing and cannot be made (${code}); choose another one`,
      { cause: error },
    );
  }
}

function kindOf(path: string): "missing" | "folder" | "other" {
  try {
    return statSync(path).isDirectory() ? "folder" : "other";
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return "missing";
    if (code === "ENOTCONN") {
      throw new Error(
        `Cannot mount on "${path}": a dead mount lies there; remove it with umount -l ${path}`,
        { cause: error },
      );
    }
    throw new Error(`Cannot mount on "${path}": ${code}`, { cause: error });
  }
}
