import type { Maybe } from "../base/maybe.ts";
import type { Ino, Slice } from "../meta/types.ts";

/**
 * The contents of files, below names and handles: one state per inode, shared by all its handles. `Vfs` calls it; it
 * talks to the metadata (slices) and to the chunk store (blocks).
 */
export interface FileData {
  /**
   * Puts bytes into the inode's pending slices; copied before it returns. With `append` they go to the end of the file as it is
   * when they are committed. Waits (back-pressure) when `--buffer-size` is used up.
   *
   * @throws FsError the first error of an earlier upload or commit of this inode, until its last handle is closed
   */
  write(ino: Ino, data: Uint8Array, at: WriteAt): Maybe<void>;
  /**
   * Reads at most `size` bytes of a file that is `length` bytes long; sees every write that returned here. Views are
   * valid until the event loop's next turn.
   */
  read(
    handle: ReadHandle,
    offset: number,
    size: number,
    length: number,
  ): Maybe<readonly Uint8Array[]>;
  /** Everything written so far is in the object store and committed. At once when nothing is pending. */
  flush(ino: Ino): Maybe<void>;
  /** Length of the file here, with what is not committed yet; `committed` is what the server says. */
  length(ino: Ino, committed: number): number;
  /** When it was last written here and not yet committed. */
  pendingMtime(ino: Ino): { sec: number; nsec: number } | undefined;
  /** Takes state for one more handle of the inode. */
  opened(ino: Ino): void;
  /** Gives it back; with the last one buffers and the sticky error go. */
  closed(ino: Ino): void;
  openHandle(ino: Ino): ReadHandle;
  closeHandle(handle: ReadHandle): void;
  /** Chunk lists and buffers of the inode are stale (changed elsewhere, truncated, copied into). */
  invalidate(ino: Ino): void;
  /**
   * To be called before a question whose answer may bring the slices of a short file. @returns what takes them, and keeps them
   * where no chunk changed meanwhile
   */
  expectSlices(): (ino: Ino, slices: readonly Slice[]) => void;
  /** SEEK_DATA / SEEK_HOLE after a flush. @returns undefined where there is nothing more */
  seek(
    ino: Ino,
    offset: number,
    what: "data" | "hole",
    length: number,
  ): Promise<number | undefined>;
  /** Stores whatever was written so far. @throws FsError the first failure */
  flushAll(): Promise<void>;
  /** Everything written is stored and committed, and nothing is under way in the background. @throws FsError */
  drain(): Promise<void>;
  /** Gives memory and connections back, after `drain`. */
  close(): Promise<void>;
}

/** Read-ahead state of one open file. Opaque to callers. */
export interface ReadHandle {
  readonly ino: Ino;
}

export interface WriteAt {
  readonly offset: number;
  readonly append: boolean;
  /** The request's number: an append is committed once per number. */
  readonly unique: bigint;
}
