import { FsError } from "../base/fs-error.ts";
import { ROOT_INO, TYPE_DIRECTORY } from "../meta/limits.ts";
import type { Meta } from "../meta/meta.ts";
import type { Caller, Ino } from "../meta/types.ts";

/** The directory of a volume that `--subdir` shows. */

const ROOT: Caller = { uid: 0, gid: 0, pid: 0 };
/** As JuiceFS makes them (Chroot in pkg/meta/base.go, 1.4): whoever mounts decides about rights below it. */
const NEW_DIRECTORY = { type: TYPE_DIRECTORY, mode: 0o777, umask: 0 };

/**
 * The inode of a path from the volume's root. With `make`, what is missing of it is made, each directory open to all.
 *
 * @throws Error when it cannot be shown
 */
export async function openSubdir(meta: Meta, path: string, make: boolean): Promise<Ino> {
  let ino: Ino = ROOT_INO;
  for (const part of path.split("/").filter((name) => name !== "" && name !== ".")) {
    try {
      ino = await directoryIn(meta, ino, part, make);
    } catch (error) {
      if (!(error instanceof FsError) || error.code === "EIO") throw error;
      throw new Error(`Cannot show subdir "${path}": ${reason(error)}`, { cause: error });
    }
  }
  return ino;
}

async function directoryIn(meta: Meta, parent: Ino, part: string, make: boolean): Promise<Ino> {
  const name = Buffer.from(part);
  try {
    return await foundIn(meta, parent, name);
  } catch (error) {
    if (!make || !(error instanceof FsError) || error.code !== "ENOENT") throw error;
  }
  try {
    return (await meta.create(ROOT, parent, name, NEW_DIRECTORY)).ino;
  } catch (error) {
    // Another host shows it at the same moment.
    if (error instanceof FsError && error.code === "EEXIST") return foundIn(meta, parent, name);
    throw error;
  }
}

async function foundIn(meta: Meta, parent: Ino, name: Buffer): Promise<Ino> {
  const { ino, attr } = await meta.lookup(parent, name);
  if (attr.type !== TYPE_DIRECTORY) throw new FsError("ENOTDIR", "subdir");
  return ino;
}

function reason({ code }: FsError): string {
  if (code === "ENOENT" || code === "ENOTDIR") return "the volume has no directory of that name";
  return `it cannot be made there (${code})`;
}
