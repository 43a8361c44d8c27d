import { FsError } from "../base/fs-error.ts";
import type { Maybe } from "../base/maybe.ts";
import {
  F_RDLCK,
  F_UNLCK,
  F_WRLCK,
  FATTR_ATIME,
  FATTR_ATIME_NOW,
  FATTR_FH,
  FATTR_GID,
  FATTR_KILL_SUIDGID,
  FATTR_MODE,
  FATTR_MTIME,
  FATTR_MTIME_NOW,
  FATTR_SIZE,
  FATTR_UID,
  FOPEN_CACHE_DIR,
  FOPEN_DIRECT_IO,
  FOPEN_KEEP_CACHE,
  FUSE_OPEN_KILL_SUIDGID,
  FUSE_RELEASE_FLOCK_UNLOCK,
  FUSE_WRITE_KILL_SUIDGID,
} from "../fuse/abi.ts";
import type {
  AttrOut,
  CreateIn,
  DirReply,
  EntryOut,
  FuseAttr,
  LockIn,
  LockOut,
  OpenIn,
  OpenOut,
  Operations,
  SetattrIn,
  StatfsOut,
} from "../fuse/operations.ts";
import type { Attr, LockType, RangeLock, VolumeUsage } from "../meta/types.ts";
import type {
  Absent,
  CreateFile,
  FileSystem,
  KnownAttr,
  KnownEntry,
  ListedEntry,
  LockRequest,
  OpenedDirectory,
  OpenedFile,
  OpenHow,
  SetAttr,
} from "../vfs/file-system.ts";
import { callerOf } from "./caller.ts";
import { ioctl } from "./ioctl.ts";

/** FUSE requests answered by a `FileSystem`: the only file that knows both. Holds no state and decides nothing. */

/** Type bits of mode by node type: S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFBLK, S_IFCHR, S_IFSOCK. */
const TYPE_BITS = [0, 0o100000, 0o040000, 0o120000, 0o010000, 0o060000, 0o020000, 0o140000];
/** DT_* are the type bits, shifted. */
const DT_SHIFT = 12;
const BLOCK_BYTES = 4096;
/** What a SETATTR changes. A chown(2) that names no owner brings none of them: the kernel leaves suid and sgid to us. */
const FATTR_CHANGES =
  FATTR_MODE | FATTR_UID | FATTR_GID | FATTR_SIZE | FATTR_ATIME | FATTR_MTIME | FATTR_KILL_SUIDGID;
const NO_ATTR: FuseAttr = {
  ...{ ino: 0n, size: 0, mode: 0, nlink: 0, uid: 0, gid: 0, rdev: 0 },
  ...{ atime: { sec: 0, nsec: 0 }, mtime: { sec: 0, nsec: 0 }, ctime: { sec: 0, nsec: 0 } },
};

export function operationsOf(fs: FileSystem): Operations {
  return { ...namesOf(fs), ...filesOf(fs), ...directoriesOf(fs), ...xattrsOf(fs), ...locksOf(fs) };
}

type Part<Name extends keyof Operations> = Pick<Operations, Name>;

function namesOf(
  fs: FileSystem,
): Part<
  | "lookup"
  | "getattr"
  | "setattr"
  | "readlink"
  | "symlink"
  | "mknod"
  | "mkdir"
  | "unlink"
  | "rmdir"
  | "rename"
  | "link"
  | "access"
  | "statfs"
> {
  return {
    lookup: (header, name) => then(fs.lookup(callerOf(header), header.nodeid, name), entryOut),
    getattr: (header, { fh }) => then(fs.getattr(callerOf(header), header.nodeid, fh), attrOut),
    setattr: (header, input) =>
      then(fs.setattr(callerOf(header), header.nodeid, changeOf(input)), attrOut),
    readlink: (header) => fs.readlink(callerOf(header), header.nodeid),
    symlink: (header, { name, target }) =>
      then(fs.symlink(callerOf(header), header.nodeid, name, target), entryOut),
    mknod: (header, { name, ...node }) =>
      then(fs.mknod(callerOf(header), header.nodeid, name, node), entryOut),
    mkdir: (header, { name, ...node }) =>
      then(fs.mkdir(callerOf(header), header.nodeid, name, node), entryOut),
    unlink: (header, name) => fs.unlink(callerOf(header), header.nodeid, name),
    rmdir: (header, name) => fs.rmdir(callerOf(header), header.nodeid, name),
    rename: (header, { name, newDir, newName, flags }) =>
      fs.rename(callerOf(header), {
        ...{ fromParent: header.nodeid, fromName: name, toParent: newDir, toName: newName },
        flags,
      }),
    link: (header, { nodeid, name }) =>
      then(fs.link(callerOf(header), nodeid, header.nodeid, name), entryOut),
    access: (header, { mask }) => fs.access(callerOf(header), header.nodeid, mask),
    statfs: (header) => then(fs.statfs(header.nodeid), statfsOut),
  };
}

function filesOf(
  fs: FileSystem,
): Part<
  | "create"
  | "tmpfile"
  | "open"
  | "read"
  | "write"
  | "flush"
  | "fsync"
  | "release"
  | "fallocate"
  | "copyFileRange"
  | "lseek"
> {
  return {
    create: (header, input) =>
      then(fs.create(callerOf(header), header.nodeid, input.name, createOf(input)), createOut),
    tmpfile: (header, input) =>
      then(fs.createNameless(callerOf(header), header.nodeid, createOf(input)), createOut),
    open: (header, input) => then(fs.open(callerOf(header), header.nodeid, openOf(input)), openOut),
    read: (header, { fh, offset, size }) => fs.read(header.nodeid, fh, offset, size),
    write: (header, { fh, offset, data, flags, writeFlags }) =>
      fs.write(header.nodeid, fh, data, {
        ...{ offset, flags, unique: header.unique },
        killSuidGid: (writeFlags & FUSE_WRITE_KILL_SUIDGID) !== 0,
      }),
    flush: (header, { fh, lockOwner }) => fs.flush(header.nodeid, fh, lockOwner),
    fsync: (header, { fh, dataOnly }) => fs.fsync(header.nodeid, fh, dataOnly),
    release: (header, { fh, releaseFlags, lockOwner }) =>
      (releaseFlags & FUSE_RELEASE_FLOCK_UNLOCK) === 0
        ? fs.release(header.nodeid, fh)
        : fs.release(header.nodeid, fh, lockOwner),
    fallocate: (header, { fh, ...range }) =>
      fs.fallocate(callerOf(header), header.nodeid, fh, range),
    copyFileRange: (header, copy) =>
      fs.copyFileRange(
        callerOf(header),
        { ino: header.nodeid, fh: copy.fhIn, offset: copy.offsetIn },
        { ino: copy.nodeidOut, fh: copy.fhOut, offset: copy.offsetOut },
        copy.length,
      ),
    lseek: (header, { fh, offset, whence }) => fs.lseek(header.nodeid, fh, offset, whence),
  };
}

function directoriesOf(fs: FileSystem): Part<"opendir" | "readdir" | "releasedir" | "fsyncdir"> {
  return {
    opendir: (header) => then(fs.opendir(callerOf(header), header.nodeid), opendirOut),
    readdir: (header, { fh, offset, reply }) =>
      fs.readdir(header.nodeid, fh, { offset, plus: reply.plus }, (entry) => list(reply, entry)),
    releasedir: (header, { fh }) => fs.releasedir(header.nodeid, fh),
    fsyncdir: (header, { fh }) => fs.fsyncdir(header.nodeid, fh),
  };
}

function xattrsOf(
  fs: FileSystem,
): Part<"getxattr" | "listxattr" | "setxattr" | "removexattr" | "ioctl"> {
  return {
    ioctl: (header, input) => ioctl(fs, callerOf(header), header.nodeid, input),
    getxattr: (header, name) => fs.getxattr(callerOf(header), header.nodeid, name),
    listxattr: (header) => then(fs.listxattr(callerOf(header), header.nodeid), joinNames),
    setxattr: (header, { name, ...how }) => fs.setxattr(callerOf(header), header.nodeid, name, how),
    removexattr: (header, name) => fs.removexattr(callerOf(header), header.nodeid, name),
  };
}

function locksOf(fs: FileSystem): Part<"getlk" | "setlk"> {
  return {
    getlk: (header, input) =>
      then(fs.getlk(header.nodeid, input.fh, lockOf(input)), (found) => lockOut(input, found)),
    setlk: (header, input) => {
      const lock = lockOf(input);
      return input.flock
        ? fs.flock(header.nodeid, input.fh, lock)
        : fs.setlk(header.nodeid, input.fh, lock);
    },
  };
}

function then<A, B>(answer: Maybe<A>, change: (answer: A) => B): Maybe<B> {
  return answer instanceof Promise ? answer.then(change) : change(answer);
}

function openOf({ flags, openFlags }: OpenIn): OpenHow {
  return { flags, killSuidGid: (openFlags & FUSE_OPEN_KILL_SUIDGID) !== 0 };
}

function createOf(input: CreateIn): CreateFile {
  return { ...openOf(input), mode: input.mode, umask: input.umask };
}

function createOut(created: KnownEntry & OpenedFile): EntryOut & OpenOut {
  return { ...entryOut(created), ...openOut(created) };
}

function fuseAttr(ino: bigint, attr: Attr): FuseAttr {
  return {
    ...{ ino, size: attr.length, nlink: attr.nlink, uid: attr.uid, gid: attr.gid },
    ...{ rdev: attr.rdev, atime: attr.atime, mtime: attr.mtime, ctime: attr.ctime },
    mode: (TYPE_BITS[attr.type] ?? 0) | attr.mode,
  };
}

function entryOut(entry: KnownEntry | Absent): EntryOut {
  const { ino, entryTtlMs } = entry;
  if (!("attr" in entry)) return { nodeid: 0n, entryTtlMs, attrTtlMs: 0, attr: NO_ATTR };
  return { nodeid: ino, entryTtlMs, attrTtlMs: entry.attrTtlMs, attr: fuseAttr(ino, entry.attr) };
}

function attrOut({ ino, attr, attrTtlMs }: KnownAttr): AttrOut {
  return { attrTtlMs, attr: fuseAttr(ino, attr) };
}

function openOut({ fh, keepCache, directIo }: OpenedFile): OpenOut {
  const openFlags = (keepCache ? FOPEN_KEEP_CACHE : 0) | (directIo ? FOPEN_DIRECT_IO : 0);
  return { fh, openFlags };
}

function opendirOut({ fh, cacheListing, keepListing }: OpenedDirectory): OpenOut {
  const openFlags = (cacheListing ? FOPEN_CACHE_DIR : 0) | (keepListing ? FOPEN_KEEP_CACHE : 0);
  return { fh, openFlags };
}

function statfsOut(usage: VolumeUsage): StatfsOut {
  return {
    blocks: Math.floor(usage.totalBytes / BLOCK_BYTES),
    freeBlocks: Math.floor(usage.availableBytes / BLOCK_BYTES),
    files: usage.usedInodes + usage.availableInodes,
    freeFiles: usage.availableInodes,
    blockBytes: BLOCK_BYTES,
  };
}

function list(reply: DirReply, { name, ino, type, offset, known }: ListedEntry): boolean {
  const entry = known === undefined ? undefined : entryOut(known);
  return reply.add({ name, ino, type: (TYPE_BITS[type] ?? 0) >> DT_SHIFT, offset, entry });
}

/** Each name ends with a zero byte. */
function joinNames(names: readonly Buffer[]): Buffer {
  return Buffer.concat(names.flatMap((name) => [name, Buffer.of(0)]));
}

function changeOf({ valid, ...input }: SetattrIn): SetAttr {
  const has = (bit: number): boolean => (valid & bit) !== 0;
  return {
    ...(has(FATTR_MODE) ? { mode: input.mode & 0o7777 } : {}),
    ...(has(FATTR_UID) ? { uid: input.uid } : {}),
    ...(has(FATTR_GID) ? { gid: input.gid } : {}),
    ...(has(FATTR_SIZE) ? { size: input.size } : {}),
    ...(has(FATTR_FH) ? { fh: input.fh } : {}),
    ...(has(FATTR_ATIME) ? { atime: has(FATTR_ATIME_NOW) ? "now" : input.atime } : {}),
    ...(has(FATTR_MTIME) ? { mtime: has(FATTR_MTIME_NOW) ? "now" : input.mtime } : {}),
    ...(has(FATTR_KILL_SUIDGID) ? { killSuidGid: true } : {}),
    ...((valid & FATTR_CHANGES) === 0 ? { sameOwners: true } : {}),
  };
}

const LOCK_TYPES: Readonly<Record<number, LockType>> = {
  [F_RDLCK]: "read",
  [F_WRLCK]: "write",
  [F_UNLCK]: "unlock",
};

function lockOf({ owner, type: kind, start, end, pid, wait }: LockIn): LockRequest {
  const type = LOCK_TYPES[kind];
  if (type === undefined) throw new FsError("EINVAL", "lock");
  const lock = { type, start, end, pid };
  return wait === undefined ? { owner, lock } : { owner, lock, wait };
}

function lockOut({ start, end }: LockIn, found: RangeLock | undefined): LockOut {
  if (found === undefined) return { type: F_UNLCK, start, end, pid: 0 };
  const type = found.type === "read" ? F_RDLCK : F_WRLCK;
  return { type, start: found.start, end: found.end, pid: found.pid };
}
