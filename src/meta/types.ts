/**
 * The words of the metadata layer. Numbers on disk are big endian; lengths and offsets are JavaScript
 * numbers (files up to 2^53 bytes), inode numbers and slice ids are bigint, names are bytes.
 */

/** An inode number. The trash lies at 2^63 and above what a double can hold. */
export type Ino = bigint;

export type NodeType = 1 | 2 | 3 | 4 | 5 | 6 | 7;

/** Seconds and nanoseconds since 1970; seconds may be negative. */
export interface Time {
  readonly sec: number;
  readonly nsec: number;
}

/** The record `i<ino>`. */
export interface Attr {
  /** FLAG_* bits. */
  readonly flags: number;
  readonly type: NodeType;
  /** The 12 permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly atime: Time;
  readonly mtime: Time;
  readonly ctime: Time;
  readonly nlink: number;
  /** Bytes; 4096 for a directory. */
  readonly length: number;
  readonly rdev: number;
  /** The directory that holds the only link; 0 once there was a second link. */
  readonly parent: Ino;
  readonly accessAcl: number;
  readonly defaultAcl: number;
  readonly tier: number;
}

/** What a name leads to. */
export interface Entry {
  readonly ino: Ino;
  readonly attr: Attr;
}

/** One entry of a listing. `attr` is absent where the inode is gone or attributes were not asked for. */
export interface DirEntry {
  readonly name: Buffer;
  readonly ino: Ino;
  readonly type: NodeType;
  readonly attr?: Attr;
}

/** One record of a chunk: `len` bytes at `pos` of the chunk come from `off` of slice `id`. */
export interface Slice {
  /** Bytes from the start of the chunk. */
  readonly pos: number;
  /** 0 is a hole. */
  readonly id: bigint;
  /** Bytes of the whole slice as stored. */
  readonly size: number;
  readonly off: number;
  readonly len: number;
}

/** Who asks. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  /** His groups, with `gid`; looked for when they are asked for. */
  readonly groups?: readonly number[];
  /** The kernel's number of the request: a change is executed once per number, whoever is killed meanwhile. */
  readonly unique?: bigint | undefined;
}

/** What setattr is to change; absent members stay. "now" is the clock of this client. */
export interface AttrChange {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly atime?: Time | "now";
  readonly mtime?: Time | "now";
  /** FLAG_* bits (chattr). */
  readonly flags?: number;
  /** The kernel asks to drop suid, sgid as after a write by somebody else (FATTR_KILL_SUIDGID). */
  readonly killSuidGid?: boolean;
  /** chown(2) that leaves both owners as they are: suid and sgid of a program go all the same. */
  readonly sameOwners?: boolean;
}

/** The new inode that mknod, mkdir, create or symlink makes. */
export interface NewNode {
  readonly type: NodeType;
  /** The permission bits asked for, before the umask. */
  readonly mode: number;
  readonly umask: number;
  readonly rdev?: number;
  /** Symlinks only. */
  readonly target?: Buffer;
}

/** How much the volume holds and may hold. Bytes and inodes. */
export interface VolumeUsage {
  readonly totalBytes: number;
  readonly availableBytes: number;
  readonly usedInodes: number;
  readonly availableInodes: number;
}

/** One slice record to be appended to a chunk of a file. */
export interface SliceCommit {
  readonly ino: Ino;
  readonly chunkIndex: number;
  readonly slice: Slice;
  /** When the last write into the slice happened. */
  readonly mtime: Time;
  /**
   * Written with O_APPEND: the place is the file's length when the record is committed, `chunkIndex`
   * and `slice.pos` are only a guess. At a chunk's border it becomes two records.
   */
  readonly append?: boolean;
}

/** What became of one commit: the new attributes and where it landed, or the refusal. */
export type CommitOutcome =
  | { readonly attr: Attr; readonly offset: number; readonly chunkRecords: number }
  | { readonly error: Error };

export type LockType = "read" | "write" | "unlock";

/** A byte range lock; `end` is inclusive, 2^63-1 reaches to the end of the file. */
export interface RangeLock {
  readonly type: LockType;
  readonly start: bigint;
  readonly end: bigint;
  readonly pid: number;
}

/** What one mounted client tells the others about itself (`sessionInfos`). */
export interface SessionInfo {
  readonly Version: string;
  readonly HostName: string;
  readonly IPAddrs?: readonly string[] | undefined;
  readonly MountPoint: string;
  readonly MountTime: string;
  readonly ProcessID: number;
}
