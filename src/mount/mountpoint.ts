import { closeSync, mkdirSync, openSync, readdirSync, statSync } from "node:fs";
import { liesIn } from "../base/inside.ts";
import { isMounted } from "../fuse/mount.ts";

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
 * @throws Error when something else is there
 */
export function prepareMountpoint(
  path: string,
  { nonempty, needed }: { nonempty: boolean; needed: readonly string[] },
): void {
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
  if (kind === "missing") mkdirSync(path, { recursive: true });
  else if (kind === "other") throw new Error(`Cannot mount on "${path}": it is not a folder`);
  else if (!nonempty && readdirSync(path).length > 0) {
    throw new Error(
      `Cannot mount on "${path}": the folder is not empty; choose another one, or hide what it holds with -o nonempty`,
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
