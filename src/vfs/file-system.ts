import type { Maybe } from "../base/maybe.ts";
import type {
  Attr,
  AttrChange,
  Caller,
  Entry,
  Ino,
  RangeLock,
  VolumeUsage,
} from "../meta/types.ts";

/**
 * A volume as a POSIX file system; what a kernel adapter, a gateway or a test asks of it. Inode 1 is the root that
 * this mount shows. Answers from memory come at once, the others as promises. Every method throws (or rejects with) FsError.
 *
 * Buffers given to a method are valid only until it returns: what is needed later is copied before.
 */
export interface FileSystem {
  /** An absent name is an answer too (`ino` 0), because the kernel may keep it. */
  lookup(caller: Caller, parent: Ino, name: Buffer): Maybe<KnownEntry | Absent>;
  getattr(caller: Caller, ino: Ino, fh?: bigint): Maybe<KnownAttr>;
  setattr(caller: Caller, ino: Ino, change: SetAttr): Maybe<KnownAttr>;
  readlink(caller: Caller, ino: Ino): Maybe<Buffer>;
  mknod(caller: Caller, parent: Ino, name: Buffer, node: MakeNode): Maybe<KnownEntry>;
  mkdir(caller: Caller, parent: Ino, name: Buffer, node: MakeDirectory): Maybe<KnownEntry>;
  symlink(caller: Caller, parent: Ino, name: Buffer, target: Buffer): Maybe<KnownEntry>;
  link(caller: Caller, ino: Ino, parent: Ino, name: Buffer): Maybe<KnownEntry>;
  unlink(caller: Caller, parent: Ino, name: Buffer): Maybe<void>;
  rmdir(caller: Caller, parent: Ino, name: Buffer): Maybe<void>;
  rename(caller: Caller, names: RenameNames): Maybe<void>;

  create(
    caller: Caller,
    parent: Ino,
    name: Buffer,
    how: CreateFile,
  ): Maybe<KnownEntry & OpenedFile>;
  /** A file without a name (O_TMPFILE), which `link` may give one. */
  createNameless(caller: Caller, parent: Ino, how: CreateFile): Maybe<KnownEntry & OpenedFile>;
  open(caller: Caller, ino: Ino, how: OpenHow): Maybe<OpenedFile>;
  /** What lies at `offset`, as views that stay untouched until the next call for this handle is made; together at most `size` bytes, fewer only at the end of the file. */
  read(ino: Ino, fh: bigint, offset: number, size: number): Maybe<readonly Uint8Array[]>;
  /** Takes the bytes over before it returns; a late answer is back-pressure. @returns bytes written */
  write(ino: Ino, fh: bigint, data: Uint8Array, how: WriteHow): Maybe<number>;
  /** A descriptor was closed: like fsync, and drops the fcntl locks of `lockOwner`. */
  flush(ino: Ino, fh: bigint, lockOwner: bigint): Maybe<void>;
  fsync(ino: Ino, fh: bigint, dataOnly: boolean): Maybe<void>;
  /** The last descriptor of the handle is gone. `lockOwner`: of the flock to drop, if there is one. */
  release(ino: Ino, fh: bigint, lockOwner?: bigint): Maybe<void>;
  fallocate(caller: Caller, ino: Ino, fh: bigint, range: Range): Maybe<void>;
  copyFileRange(caller: Caller, from: HandleRange, to: HandleRange, length: number): Maybe<number>;
  /** SEEK_DATA 3, SEEK_HOLE 4. @throws FsError ENXIO */
  lseek(ino: Ino, fh: bigint, offset: number, whence: number): Maybe<number>;

  opendir(caller: Caller, ino: Ino): Maybe<OpenedDirectory>;
  /**
   * Hands entries from `offset` on to `emit` until it answers false (the reply is full) or the listing ends.
   * Offsets are opaque, except that 0 is the start; each entry carries the offset of the one after it.
   */
  readdir(ino: Ino, fh: bigint, from: ReadFrom, emit: (entry: ListedEntry) => boolean): Maybe<void>;
  releasedir(ino: Ino, fh: bigint): Maybe<void>;
  fsyncdir(ino: Ino, fh: bigint): Maybe<void>;

  statfs(ino: Ino): Maybe<VolumeUsage>;
  access(caller: Caller, ino: Ino, mask: number): Maybe<void>;
  /** FLAG_* of chattr(1). */
  getFlags(ino: Ino): Maybe<number>;
  /** @throws FsError EPERM, EOPNOTSUPP */
  setFlags(caller: Caller, ino: Ino, flags: number): Maybe<void>;
  getxattr(caller: Caller, ino: Ino, name: Buffer): Maybe<Buffer>;
  listxattr(caller: Caller, ino: Ino): Maybe<Buffer[]>;
  setxattr(caller: Caller, ino: Ino, name: Buffer, how: SetXattr): Maybe<void>;
  removexattr(caller: Caller, ino: Ino, name: Buffer): Maybe<void>;

  flock(ino: Ino, fh: bigint, lock: LockRequest): Maybe<void>;
  setlk(ino: Ino, fh: bigint, lock: LockRequest): Maybe<void>;
  getlk(ino: Ino, fh: bigint, lock: LockRequest): Maybe<RangeLock | undefined>;

  /** Everything written is stored, everything open is released, the session ends. */
  close(): Promise<void>;
}

/** An entry, and how long it may be kept by the kernel; 0 where it may be stale already. Milliseconds. */
export interface KnownEntry extends Entry {
  readonly entryTtlMs: number;
  readonly attrTtlMs: number;
}

/** There is no such name, and the kernel may remember that for so long. */
export interface Absent {
  readonly ino: 0n;
  readonly entryTtlMs: number;
}

export interface KnownAttr {
  readonly ino: Ino;
  readonly attr: Attr;
  readonly attrTtlMs: number;
}

export interface SetAttr extends AttrChange {
  /** Truncate to this many bytes first. */
  readonly size?: number;
  /** By this descriptor, not by a path. */
  readonly fh?: bigint;
}

export interface MakeNode {
  /** As mknod(2) takes it: type and permission bits. */
  readonly mode: number;
  readonly rdev: number;
  readonly umask: number;
}

export interface MakeDirectory {
  readonly mode: number;
  readonly umask: number;
}

export interface OpenHow {
  /** O_* of open(2). */
  readonly flags: number;
  /** With O_TRUNC: the caller may not keep what suid and sgid grant. */
  readonly killSuidGid: boolean;
}

export interface CreateFile extends MakeDirectory, OpenHow {}

export interface RenameNames {
  readonly fromParent: Ino;
  readonly fromName: Buffer;
  readonly toParent: Ino;
  readonly toName: Buffer;
  /** RENAME_* of renameat2(2). */
  readonly flags: number;
}

export interface OpenedFile {
  readonly fh: bigint;
  /** The data did not change since the kernel last saw it: its pages stay. */
  readonly keepCache: boolean;
  /** Opened with O_APPEND: each write comes as one request, without the page cache. */
  readonly directIo: boolean;
}

export interface OpenedDirectory {
  readonly fh: bigint;
  /** The kernel may serve the listing from its own pages, and fill them. */
  readonly cacheListing: boolean;
  /** The listing did not change since it was last filled: its pages stay. */
  readonly keepListing: boolean;
}

export interface WriteHow {
  readonly offset: number;
  /** O_* the handle was opened with, or changed to by fcntl. */
  readonly flags: number;
  /** Drop suid and sgid: the writer is not privileged. */
  readonly killSuidGid: boolean;
  /** The kernel's number of the request without its top bit: an append is executed once per number. */
  readonly unique: bigint;
}

export interface Range {
  /** FALLOC_FL_* of fallocate(2). */
  readonly mode: number;
  readonly offset: number;
  readonly length: number;
}

export interface HandleRange {
  readonly ino: Ino;
  readonly fh: bigint;
  readonly offset: number;
}

export interface ReadFrom {
  readonly offset: bigint;
  /** With attributes and lifetimes, as readdirplus wants them. */
  readonly plus: boolean;
}

export interface ListedEntry {
  readonly name: Buffer;
  readonly ino: Ino;
  readonly type: number;
  /** Where the next one starts. */
  readonly offset: bigint;
  /** With `plus`, where the attributes are known and may be handed out. */
  readonly known?: KnownEntry | undefined;
}

export interface SetXattr {
  readonly value: Buffer;
  readonly flags: number;
}

export interface LockRequest {
  readonly owner: bigint;
  readonly lock: RangeLock;
  /** Wait for it until this aborts; absent: EAGAIN when it is taken. */
  readonly wait?: AbortSignal;
}

/** Tells the kernel that what it keeps is stale. Never blocks the caller. */
export interface KernelCaches {
  /** The attributes of an inode changed; `via`: the name they were last handed out with. */
  attrChanged(ino: Ino, via?: { readonly parent: Ino; readonly name: Buffer }): void;
  /** Its data, or a directory's listing, changed: pages go. */
  dataChanged(ino: Ino): void;
  /** A name appeared, went or leads elsewhere; `gone`: for certain, else it may be as it was. */
  entryChanged(parent: Ino, name: Buffer, gone: boolean): void;
  /** Settles when the kernel heard everything it was told so far; at once when it did. */
  settled(): Maybe<void>;
}
