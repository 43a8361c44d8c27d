import type { Maybe } from "../base/maybe.ts";
import type { Format } from "./format.ts";
import type { OpenFiles } from "./open-files.ts";
import type {
  Attr,
  AttrChange,
  Caller,
  CommitOutcome,
  DirEntry,
  Entry,
  Ino,
  LockType,
  NewNode,
  RangeLock,
  Slice,
  SliceCommit,
  VolumeUsage,
} from "./types.ts";
import type { Upkeep } from "./upkeep.ts";

export interface NoticeCounts {
  readonly received: number;
  /** Of those, what was done here. */
  readonly own: number;
  /** Keys that changed without a notice. */
  readonly unexplained: number;
  /** Read from the stream after an interruption. */
  readonly caughtUp: number;
}

/** What a name led to; of a short file with few slices those of its only chunk too, of a symlink its target. */
export interface Found extends Entry {
  readonly slices?: readonly Slice[];
  readonly target?: Buffer | undefined;
}

/**
 * Names, attributes and slices of one volume; one method an operation, one round trip each unless it
 * says otherwise. Nothing is cached here: each method asks the server, and each change answers with the
 * attributes it left behind. Permissions are the kernel's business (`default_permissions`); the rules
 * that the kernel cannot check (sticky and immutable flags seen late, trash) are checked in the scripts.
 *
 * Every method throws FsError with the code POSIX names for a refusal; EIO when the server does not answer.
 */
export interface Meta {
  /** The settings as last read; renewed with each heartbeat. */
  readonly format: Format;
  /** 0 without a session (read-only). */
  readonly sid: bigint;
  /** What is open here: the vfs keeps it, removing looks at it. */
  readonly openFiles: OpenFiles;
  /** How long an answer may be kept, by the kernel and by us. */
  readonly trust: Trust;
  /** For administrators. */
  readonly upkeep: Upkeep;
  /** Grows when a change of this mount begins, and when it ends. */
  readonly ownChanges: number;
  /** What was heard of changes since this process began. */
  readonly noticeCounts: NoticeCounts;
  /** The last notice seen, for a successor of this process (`MetaOptions.lastNotice`). */
  readonly lastNotice: string | undefined;
  /**
   * Whether every change was heard of that was answered to others `withinMs` before it is asked: one round trip, none where nobody
   * else has the volume mounted. False where that cannot be told: what is kept is to be asked for anew then.
   */
  heardAll(withinMs: number): Maybe<boolean>;

  /** @throws FsError ENOENT */
  lookup(parent: Ino, name: Buffer): Promise<Found>;
  /** @throws FsError ENOENT */
  getattr(ino: Ino): Promise<Attr>;
  /** The same for many inodes; undefined for those that are gone. */
  getattrs(inodes: readonly Ino[]): Promise<(Attr | undefined)[]>;
  /** @throws FsError EPERM, ENOENT */
  setattr(caller: Caller, ino: Ino, change: AttrChange): Promise<Attr>;

  /**
   * Makes an inode and its entry.
   *
   * @throws FsError EEXIST, ENOENT, ENOTDIR, EPERM, ENOSPC, EDQUOT
   */
  create(caller: Caller, parent: Ino, name: Buffer, node: NewNode): Promise<Changed>;
  /** A file without a name (O_TMPFILE): goes with its last close here, unless `link` gave it a name. */
  createNameless(
    caller: Caller,
    parent: Ino,
    node: Pick<NewNode, "mode" | "umask">,
  ): Promise<Entry>;
  /** @throws FsError EEXIST, EPERM (a directory), ENOENT, EMLINK */
  link(caller: Caller, ino: Ino, parent: Ino, name: Buffer): Promise<Changed>;
  /**
   * Removes a file's name; `known` is the inode it was last seen to lead to. When that was wrong, one more
   * round trip. A file that is open here (`openFiles`) stays until its last close.
   */
  unlink(caller: Caller, parent: Ino, name: Buffer, known?: Ino): Promise<Removed>;
  rmdir(caller: Caller, parent: Ino, name: Buffer, known?: Ino): Promise<Removed>;
  /** Removes a name past the trash. */
  removeForGood(
    caller: Caller,
    parent: Ino,
    name: Buffer,
    what: { readonly directory: boolean; readonly known?: Ino | undefined },
  ): Promise<Removed>;
  rename(caller: Caller, move: Rename): Promise<Renamed>;
  readlink(ino: Ino): Promise<Buffer>;

  /** A batch of a listing: entries from `cursor` on, with attributes when `plus`. */
  readdir(ino: Ino, cursor: string, plus: boolean): Promise<DirBatch>;

  /** All paths that lead to an inode, from the volume's root. For messages: it may look through whole directories. */
  paths(ino: Ino): Promise<string[]>;

  /** The slice records of a chunk, oldest first. */
  readChunk(ino: Ino, chunkIndex: number): Promise<Slice[]>;
  /** The first chunk from `from` on, before `end`, that has any record; undefined where there is none. */
  nextChunk(ino: Ino, from: number, end: number): Promise<number | undefined>;
  /** A slice id nobody else has; from a batch held in memory when there is one. */
  newSliceId(): Maybe<bigint>;
  /**
   * Appends records to chunks, of any files, in one script; each record has its own outcome, in the order given.
   * Records of one call that share a slice id are counted in `sliceRef`.
   */
  commitSlices(commits: readonly SliceCommit[]): Promise<CommitOutcome[]>;
  /**
   * Puts a new slice in the place of a chunk's oldest records. Chunks given together share one slice, for the slices they
   * replaced are noted down under its id.
   *
   * @returns for each whether its records were still those read; where none was, the slice is nobody's
   */
  compactChunks(replacements: readonly ChunkReplacement[]): Promise<boolean[]>;
  /**
   * Notes a slice down that no record refers to: a client that cleans up deletes its objects.
   *
   * @returns false where it is counted already: records refer to it, or it is noted down
   */
  abandonSlice(id: bigint, size: number): Promise<boolean>;
  /** @throws FsError EFBIG, EPERM, ENOSPC */
  truncate(caller: Caller, ino: Ino, length: number, how?: TruncateHow): Promise<Attr>;
  /** `mode`: the FALLOC_FL_* bits. @throws FsError EOPNOTSUPP, EINVAL, EPERM, EFBIG */
  fallocate(ino: Ino, mode: number, range: AllocatedRange): Promise<Attr>;
  copyRange(
    from: FilePosition,
    to: FilePosition,
    length: number,
    killSuidGid?: boolean,
  ): Promise<Copied>;

  /** All of an inode, names as Latin-1; undefined where there are too many to hand over at once. */
  xattrs(ino: Ino): Promise<Map<string, Buffer> | undefined>;
  getxattr(ino: Ino, name: Buffer): Promise<Buffer>;
  listxattr(ino: Ino): Promise<Buffer[]>;
  /** `unique`: the kernel's number of the request, with which the change is executed once. @throws FsError EEXIST, ENODATA, EPERM */
  setxattr(ino: Ino, name: Buffer, how: XattrValue, unique?: bigint): Promise<Attr>;
  removexattr(ino: Ino, name: Buffer, unique?: bigint): Promise<Attr>;
  /** The rule that ACL ids of attributes stand for; a rule never changes. Absent where the volume has none of that number. */
  aclRule(id: number): Promise<Buffer | undefined>;
  /** Without a rule the ACL is removed. @throws FsError EPERM, EACCES (a default ACL of what is no directory) */
  setAcl(caller: Caller, ino: Ino, kind: AclKind, rule?: Buffer): Promise<Attr>;
  /** Notes that an inode was read; `relative`: only where that was not known since its last change. */
  touchAtime(ino: Ino, relative: boolean): Promise<Attr>;

  /** Takes or drops a flock; waits for it when `wait`. @throws FsError EAGAIN, EINTR */
  flock(ino: Ino, owner: bigint, type: LockType, wait?: AbortSignal): Promise<void>;
  /** Takes or drops a byte range; waits for it when `wait`. @throws FsError EAGAIN, EINTR */
  setlk(ino: Ino, owner: bigint, lock: RangeLock, wait?: AbortSignal): Promise<void>;
  /** The first lock in the way of `lock`, or undefined. */
  getlk(ino: Ino, owner: bigint, lock: RangeLock): Promise<RangeLock | undefined>;

  statfs(): Promise<VolumeUsage>;
  /** What the server does not promise about what it was told, in sentences. */
  weakPoints(): Promise<string[]>;

  /** What the session held already when it was taken over from a process before. */
  inherited(): Promise<Inherited>;
  /** The last handle of an inode was closed here: deletes it when it has no name any more. */
  forgetOpen(ino: Ino): Promise<void>;
  /** Ends the session: locks, sustained inodes, connections. */
  close(): Promise<void>;
}

/**
 * `long`: every change is announced to us. `short`: somebody on the volume announces nothing (an official
 * client), or the server cannot: 1 s as JuiceFS has it. `none`: the subscription is down; nothing may be kept.
 */
export type Trust = "long" | "short" | "none";

/** What a session keeps for its mount. */
export interface Inherited {
  /** Inodes without a name that are kept because they were open. */
  readonly nameless: readonly Ino[];
  /** Inodes with byte range locks. */
  readonly locked: readonly Ino[];
}

/** A new or changed entry, and what its directory looks like now. */
export interface Changed extends Entry {
  readonly parentAttr: Attr;
}

/** What was removed. `attr` is absent where the name led to nothing. */
export interface Removed {
  readonly ino: Ino;
  readonly attr?: Attr | undefined;
  /** The inode is gone with its last name. */
  readonly gone: boolean;
  readonly parentAttr: Attr;
}

export interface Rename {
  readonly fromParent: Ino;
  readonly fromName: Buffer;
  readonly toParent: Ino;
  readonly toName: Buffer;
  /** RENAME_NOREPLACE 1, RENAME_EXCHANGE 2, RENAME_WHITEOUT 4. */
  readonly flags: number;
  /** What the names were last seen to lead to; one more round trip when that was wrong. */
  readonly knownFrom?: Ino | undefined;
  readonly knownTo?: Ino | undefined;
}

export interface Renamed {
  readonly ino: Ino;
  readonly attr: Attr;
  /** The device that stands in the old place (RENAME_WHITEOUT). */
  readonly whiteout?: Ino | undefined;
  /** What the target name led to: replaced, or exchanged. */
  readonly target?: Omit<Removed, "parentAttr"> | undefined;
  readonly fromParentAttr: Attr;
  readonly toParentAttr: Attr;
}

export interface XattrValue {
  readonly value: Buffer;
  /** 0, XATTR_CREATE 1, XATTR_REPLACE 2. */
  readonly flags: number;
}

export interface TruncateHow {
  /** The caller may not keep what suid and sgid grant. */
  readonly killSuidGid?: boolean;
  /** As truncate(2), not by a descriptor: one that has the length already keeps its mtime. */
  readonly byPath?: boolean;
}

export interface AllocatedRange {
  readonly offset: number;
  readonly length: number;
  readonly killSuidGid?: boolean;
}

/** What an inode is checked by, or what a directory hands on. */
export type AclKind = "access" | "default";

export interface DirBatch {
  readonly entries: DirEntry[];
  /** "0" after the last batch; the first one starts at "0". */
  readonly cursor: string;
}

export interface FilePosition {
  readonly ino: Ino;
  readonly offset: number;
}

export interface Copied {
  /** Bytes. */
  readonly copied: number;
  /** Of the file written to. */
  readonly attr: Attr;
}

/** One chunk of a compaction. */
export interface ChunkReplacement {
  readonly ino: Ino;
  readonly chunkIndex: number;
  /** The oldest records, as they were read. */
  readonly read: readonly Slice[];
  /** How many of them, from the oldest, stay as they are. */
  readonly kept: number;
  /** The record that replaces the others. */
  readonly slice: Slice;
}

/** What another session changed. Sent by its script, before its caller had the answer. */
export interface Notice {
  /** Inodes whose attributes changed or that are gone. */
  readonly attrs: readonly Ino[];
  /** Names that appeared, went, or lead somewhere else. */
  readonly entries: readonly { readonly parent: Ino; readonly name: Buffer }[];
  /** Inodes whose data changed. */
  readonly data: readonly Ino[];
  /** Inodes whose data lies elsewhere now, in slices of a compaction; it is the same. */
  readonly slices: readonly Ino[];
  /** Inodes whose extended attributes changed. */
  readonly xattrs: readonly Ino[];
  /** Directories of which names changed, nobody knows which. */
  readonly directories: readonly Ino[];
  /** Inodes that somebody changed who announces nothing: whether their data changed their attributes tell. */
  readonly unexplained: readonly Ino[];
}

/** What a mount gives to `openMeta`, to be told. Called in the event loop; must not throw. */
export interface MetaListener {
  /** Another session changed something. */
  changed(notice: Notice): void;
  /** `trust` changed: whatever was kept is to be dropped. */
  trustChanged(trust: Trust): void;
  /** For a moment nothing was heard; notices were read afterwards, but not what clients did that announce nothing. */
  interrupted?(): void;
  /** No chunk refers to this slice any more: its objects are to be deleted. A rejection leaves it for a later job. */
  deleteSlice(id: bigint, size: number): Promise<void>;
  /** Somebody changed the volume's settings: `Meta.format` has them now. */
  settingsChanged?(format: Format): void;
  /** Somebody took this mount for dead: its locks were dropped, and files open without a name are gone. */
  sessionLost?(): void;
  /** The volume was destroyed or replaced under us: unmount. One sentence. */
  volumeGone(reason: string): void;
}
