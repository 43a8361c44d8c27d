import type { Maybe } from "../base/maybe.ts";

/** What a mounted file system is asked, request by request: typed, decoded, without the wire. */

export interface RequestHeader {
  readonly opcode: number;
  /** The request's number without the mark of a request sent again. */
  readonly unique: bigint;
  readonly nodeid: bigint;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
}

export interface FuseTime {
  readonly sec: number;
  readonly nsec: number;
}

/** The kernel's `fuse_attr`; mode carries the type's bits too. */
export interface FuseAttr {
  readonly ino: bigint;
  readonly size: number;
  readonly atime: FuseTime;
  readonly mtime: FuseTime;
  readonly ctime: FuseTime;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
}

/** `nodeid` 0: there is no such name, for as long as the lifetime says. */
export interface EntryOut {
  readonly nodeid: bigint;
  readonly entryTtlMs: number;
  readonly attrTtlMs: number;
  readonly attr: FuseAttr;
}

export interface AttrOut {
  readonly attrTtlMs: number;
  readonly attr: FuseAttr;
}

export interface OpenOut {
  readonly fh: bigint;
  /** FOPEN_* */
  readonly openFlags: number;
}

export interface SetattrIn {
  /** FATTR_*: which members count. */
  readonly valid: number;
  readonly fh: bigint;
  readonly size: number;
  readonly atime: FuseTime;
  readonly mtime: FuseTime;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface MakeIn {
  readonly name: Buffer;
  readonly mode: number;
  readonly umask: number;
  readonly rdev: number;
}

export interface OpenIn {
  /** O_*. */
  readonly flags: number;
  /** FUSE_OPEN_*. */
  readonly openFlags: number;
}

export interface CreateIn extends OpenIn {
  readonly name: Buffer;
  readonly mode: number;
  readonly umask: number;
}

export interface RenameIn {
  readonly name: Buffer;
  readonly newDir: bigint;
  readonly newName: Buffer;
  readonly flags: number;
}

export interface ReadIn {
  readonly fh: bigint;
  readonly offset: number;
  readonly size: number;
}

export interface WriteIn {
  readonly fh: bigint;
  readonly offset: number;
  /** A view into the request: gone when the operation returns. */
  readonly data: Buffer;
  readonly writeFlags: number;
  /** O_* of the handle now. */
  readonly flags: number;
}

export interface ReleaseIn {
  readonly fh: bigint;
  readonly releaseFlags: number;
  readonly lockOwner: bigint;
}

export interface LockIn {
  readonly fh: bigint;
  readonly owner: bigint;
  readonly start: bigint;
  readonly end: bigint;
  /** F_RDLCK, F_WRLCK, F_UNLCK. */
  readonly type: number;
  readonly pid: number;
  readonly flock: boolean;
  /** Wait until it is free or this aborts. */
  readonly wait?: AbortSignal;
}

export type LockOut = Pick<LockIn, "start" | "end" | "type" | "pid">;

export interface SetxattrIn {
  readonly name: Buffer;
  readonly value: Buffer;
  readonly flags: number;
}

export interface FallocateIn {
  readonly fh: bigint;
  readonly offset: number;
  readonly length: number;
  readonly mode: number;
}

export interface CopyIn {
  readonly fhIn: bigint;
  readonly offsetIn: number;
  readonly nodeidOut: bigint;
  readonly fhOut: bigint;
  readonly offsetOut: number;
  readonly length: number;
}

export interface IoctlIn {
  readonly command: number;
  readonly data: Buffer;
}

export interface LseekIn {
  readonly fh: bigint;
  readonly offset: number;
  readonly whence: number;
}

export interface StatfsOut {
  readonly blocks: number;
  readonly freeBlocks: number;
  readonly files: number;
  readonly freeFiles: number;
  readonly blockBytes: number;
}

/** A reply being filled with directory entries; `add` answers false when it is full. */
export interface DirReply {
  readonly plus: boolean;
  add(entry: DirEntryOut): boolean;
}

export interface DirEntryOut {
  readonly name: Buffer;
  readonly ino: bigint;
  /** DT_*. */
  readonly type: number;
  /** Where the next entry starts. */
  readonly offset: bigint;
  /** With `plus`; absent: attributes are not handed out. */
  readonly entry?: EntryOut | undefined;
}

export interface ReaddirIn {
  readonly fh: bigint;
  readonly offset: bigint;
  readonly reply: DirReply;
}

/** What each operation takes and gives. */
export interface Signatures {
  lookup: [Buffer, EntryOut];
  getattr: [{ fh?: bigint }, AttrOut];
  setattr: [SetattrIn, AttrOut];
  readlink: [void, Buffer];
  symlink: [{ name: Buffer; target: Buffer }, EntryOut];
  mknod: [MakeIn, EntryOut];
  mkdir: [MakeIn, EntryOut];
  unlink: [Buffer, void];
  rmdir: [Buffer, void];
  rename: [RenameIn, void];
  link: [{ name: Buffer; nodeid: bigint }, EntryOut];
  open: [OpenIn, OpenOut];
  read: [ReadIn, readonly Uint8Array[]];
  write: [WriteIn, number];
  statfs: [void, StatfsOut];
  release: [ReleaseIn, void];
  fsync: [{ fh: bigint; dataOnly: boolean }, void];
  setxattr: [SetxattrIn, void];
  getxattr: [Buffer, Buffer];
  listxattr: [void, Buffer];
  removexattr: [Buffer, void];
  flush: [{ fh: bigint; lockOwner: bigint }, void];
  opendir: [OpenIn, OpenOut];
  readdir: [ReaddirIn, void];
  releasedir: [ReleaseIn, void];
  fsyncdir: [{ fh: bigint; dataOnly: boolean }, void];
  getlk: [LockIn, LockOut];
  setlk: [LockIn, void];
  access: [{ mask: number }, void];
  create: [CreateIn, EntryOut & OpenOut];
  tmpfile: [CreateIn, EntryOut & OpenOut];
  ioctl: [IoctlIn, Buffer];
  fallocate: [FallocateIn, void];
  copyFileRange: [CopyIn, number];
  lseek: [LseekIn, number];
}

/** What a mounted file system implements. A value is answered at once, a promise when it settles. */
export type Operations = {
  [Name in keyof Signatures]: (
    header: RequestHeader,
    input: Signatures[Name][0],
  ) => Maybe<Signatures[Name][1]>;
};
