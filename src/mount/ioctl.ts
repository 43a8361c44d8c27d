import { FsError } from "../base/fs-error.ts";
import type { Maybe } from "../base/maybe.ts";
import * as abi from "../fuse/abi.ts";
import type { IoctlIn } from "../fuse/operations.ts";
import { FLAG_APPEND, FLAG_IMMUTABLE, FLAG_SKIP_TRASH } from "../meta/limits.ts";
import type { Caller, Ino } from "../meta/types.ts";
import type { FileSystem } from "../vfs/file-system.ts";

/** What chattr(1) and lsattr(1) ask for: flags of the format as bits of the kernel's. */

type Bits = readonly (readonly [flag: number, bit: number])[];

const FLAGS: Bits = [
  [FLAG_IMMUTABLE, abi.FS_IMMUTABLE_FL],
  [FLAG_APPEND, abi.FS_APPEND_FL],
  // Secure deletion: what is removed is not kept in the trash (JuiceFS pkg/vfs/vfs_unix.go, 1.4).
  [FLAG_SKIP_TRASH, abi.FS_SECRM_FL],
];
const XFLAGS: Bits = [
  [FLAG_IMMUTABLE, abi.FS_XFLAG_IMMUTABLE],
  [FLAG_APPEND, abi.FS_XFLAG_APPEND],
];

/** @throws FsError ENOTTY, EOPNOTSUPP (a flag that the format does not know), EPERM */
export function ioctl(
  fs: FileSystem,
  caller: Caller,
  ino: Ino,
  { command, data }: IoctlIn,
): Maybe<Buffer> {
  switch (command) {
    case abi.FS_IOC_GETFLAGS:
    case abi.FS_IOC32_GETFLAGS:
      return getFlags(fs, ino, { bits: FLAGS, size: 4 });
    case abi.FS_IOC_FSGETXATTR:
      return getFlags(fs, ino, { bits: XFLAGS, size: abi.FSXATTR_BYTES });
    case abi.FS_IOC_SETFLAGS:
    case abi.FS_IOC32_SETFLAGS:
      return setFlags(fs, caller, ino, { bits: FLAGS, data });
    case abi.FS_IOC_FSSETXATTR:
      return setFlags(fs, caller, ino, { bits: XFLAGS, data });
    default:
      throw new FsError("ENOTTY", "ioctl");
  }
}

async function getFlags(
  fs: FileSystem,
  ino: Ino,
  { bits, size }: { bits: Bits; size: number },
): Promise<Buffer> {
  const flags = await fs.getFlags(ino);
  const data = Buffer.alloc(size);
  data.writeUInt32LE(
    bits.reduce((all, [flag, bit]) => ((flags & flag) === 0 ? all : all | bit), 0),
  );
  return data;
}

async function setFlags(
  fs: FileSystem,
  caller: Caller,
  ino: Ino,
  { bits, data }: { bits: Bits; data: Buffer },
): Promise<Buffer> {
  if (data.length < 4) throw new FsError("EINVAL", "ioctl");
  const wanted = data.readUInt32LE(0);
  const known = bits.reduce((all, [, bit]) => all | bit, 0);
  if ((wanted & ~known) !== 0) throw new FsError("EOPNOTSUPP", "ioctl");
  // What these bits do not name stays as it is.
  const kept = (await fs.getFlags(ino)) & ~bits.reduce((all, [flag]) => all | flag, 0);
  const flags = bits.reduce((all, [flag, bit]) => ((wanted & bit) === 0 ? all : all | flag), kept);
  await fs.setFlags(caller, ino, flags);
  return Buffer.alloc(0);
}
