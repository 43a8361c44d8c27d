import { SpoolBuffer } from "../chunk/spool-buffer.ts";
import type { Spool } from "../chunk/spool.ts";
import { CHUNK_SIZE } from "../meta/limits.ts";
import type { Ino, Slice, SliceCommit, Time } from "../meta/types.ts";

/** Where in a file a slice begins. */
export interface SlicePlace {
  readonly ino: Ino;
  readonly chunkIndex: number;
  /** Bytes from the start of the chunk. */
  readonly pos: number;
  /** Written with O_APPEND: the place is a guess until it is committed. */
  readonly append: boolean;
}

/** Where a slice's bytes are stored: in a slice of their own, or in one that is shared with others. */
export interface StoredPlace {
  readonly id: bigint;
  /** Bytes of the whole stored slice. */
  readonly size: number;
  readonly off: number;
}

/**
 * Bytes written to one place of a file that are not committed yet. Grows at its end until it is frozen. They stay in the
 * spool until the commit is answered: a read is answered from there, and a process that takes over finds them.
 */
export class PendingSlice {
  readonly ino: Ino;
  readonly chunkIndex: number;
  readonly pos: number;
  readonly append: boolean;
  /** Its number among the slices of this mount, for the journal. */
  readonly number: number;
  /** Its number among the slices of its file. */
  readonly sequence: number;
  readonly started = performance.now();
  readonly buffer: SpoolBuffer;
  touched = this.started;
  mtime: Time = { sec: 0, nsec: 0 };
  length = 0;
  frozen = false;
  /** Blocks whose upload has begun. */
  blocks = 0;
  /** Where it is being stored; of a slice that grows only the id counts. */
  identity: StoredPlace | undefined;
  /** Why it could not be stored. */
  failure: Error | undefined;

  constructor(place: SlicePlace, numbers: { number: number; sequence: number }, spool: Spool) {
    this.ino = place.ino;
    this.chunkIndex = place.chunkIndex;
    this.pos = place.pos;
    this.append = place.append;
    this.number = numbers.number;
    this.sequence = numbers.sequence;
    this.buffer = new SpoolBuffer(spool);
  }

  get start(): number {
    return this.chunkIndex * CHUNK_SIZE + this.pos;
  }

  /** Where in the file it ends. */
  get end(): number {
    return this.start + this.length;
  }

  overlaps(offset: number, length: number): boolean {
    return this.start < offset + length && this.end > offset;
  }

  /** True when bytes for `offset` of the file can go into it: at its end, or over what is not being uploaded. */
  takes(offset: number, length: number, blockSize: number): boolean {
    const at = offset - this.start;
    return (
      !this.frozen &&
      at >= this.blocks * blockSize &&
      at <= this.length &&
      at + length <= CHUNK_SIZE
    );
  }

  /**
   * Copies bytes to `offset` of the file, where `takes` said yes.
   *
   * @returns true when its extents changed
   */
  write(offset: number, data: Uint8Array, mtime: Time): boolean {
    const at = offset - this.start;
    const grows = this.buffer.write(at, data);
    this.length = Math.max(this.length, at + data.length);
    this.mtime = mtime;
    this.touched = performance.now();
    return grows;
  }

  /** As a record of its chunk; with what is stored, or to be looked at only here. */
  record(place: StoredPlace): Slice {
    const { pos, length } = this;
    return { pos, id: place.id, size: place.size, off: place.off, len: length };
  }

  /** @throws Error when nobody said where it is stored */
  commit(): SliceCommit {
    const { ino, chunkIndex, mtime, append, identity } = this;
    if (identity === undefined) throw new Error("A slice is to be committed that is not stored");
    return { ino, chunkIndex, slice: this.record(identity), mtime, append };
  }
}
