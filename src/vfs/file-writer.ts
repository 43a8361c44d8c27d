import { wallClock } from "../base/clock.ts";
import { errnoOf, FsError } from "../base/fs-error.ts";
import { log } from "../base/log.ts";
import type { Maybe } from "../base/maybe.ts";
import type { Spool } from "../chunk/spool.ts";
import { CHUNK_SIZE, FILE_SIZE_MAX } from "../meta/limits.ts";
import type { Ino, Time } from "../meta/types.ts";
import type { DirtyJournal } from "./dirty-journal.ts";
import { PendingSlice, type SlicePlace } from "./pending-slice.ts";
import type { SliceUploads } from "./slice-uploads.ts";

/** A slice that is written on stays open so long, in milliseconds (JuiceFS pkg/vfs/writer.go, 1.4). */
const AGE_MAX_MS = 5000;
const IDLE_MAX_MS = 1000;
/** Slices of a file that may still grow; older ones are frozen. */
const GROWING = 4;
/** More are pending than this: who writes waits. */
const PENDING_MAX = 20_000;

export interface WriterParts {
  readonly blockSize: number;
  readonly spool: Spool;
  readonly journal: DirtyJournal;
  readonly uploads: SliceUploads;
  /** The next number of a slice of this mount. */
  readonly nextNumber: () => number;
}

/**
 * What was written to one inode and is not committed yet: slices in the order of their creation, which is the order
 * of their commits. Shared by all handles. The first error stays until the last handle is closed.
 */
export class FileWriter {
  readonly ino: Ino;
  readonly #parts: WriterParts;
  readonly #pending: PendingSlice[] = [];
  readonly #growing: PendingSlice[] = [];
  #waiting: { sequence: number; resolve: () => void }[] = [];
  #sequence = 0;
  /** Pending slices that have blocks of their own. */
  #large = 0;
  #error: Error | undefined;
  #mtime: Time | undefined;
  #held: Promise<void> | undefined;

  constructor(ino: Ino, parts: WriterParts) {
    this.ino = ino;
    this.#parts = parts;
  }

  get idle(): boolean {
    return this.#pending.length === 0;
  }

  /** Oldest first. */
  get pending(): readonly PendingSlice[] {
    return this.#pending;
  }

  get oldestSequence(): number {
    return this.#pending[0]?.sequence ?? this.#sequence;
  }

  /** Of the last write that is not committed. */
  get mtime(): Time | undefined {
    return this.#pending.length === 0 ? undefined : this.#mtime;
  }

  /** Where the pending data ends, or 0. */
  get end(): number {
    return this.#pending.reduce((end, slice) => Math.max(end, slice.end), 0);
  }

  forgetError(): void {
    this.#error = undefined;
    this.#parts.journal.forgotten(this.ino);
  }

  /** Something could not be stored, here or by a process before. */
  fail(error: Error): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#parts.journal.failed(this.ino, errnoOf(error));
  }

  /**
   * Copies bytes into slices. `unique`: of an append, which stays in one piece.
   *
   * @returns a promise when too much is pending
   */
  write(offset: number, data: Uint8Array, unique?: bigint): Maybe<void> {
    if (this.#error !== undefined) throw this.#failure();
    if (offset + data.length > FILE_SIZE_MAX) throw new FsError("EFBIG", "write");
    if (data.length === 0) return undefined;
    this.#mtime = wallClock();
    if (unique !== undefined) {
      this.#place(offset, data, unique);
    } else {
      for (let from = 0; from < data.length;) {
        const at = offset + from;
        const count = Math.min(data.length - from, CHUNK_SIZE - (at % CHUNK_SIZE));
        this.#place(at, count === data.length ? data : data.subarray(from, from + count));
        from += count;
      }
    }
    if (this.#pending.length > PENDING_MAX) return this.flush();
    return this.#held;
  }

  /** Writes are answered when this has settled too. */
  holdUntil(settled: Promise<void>): void {
    this.#held = settled;
    void settled.then(() => {
      if (this.#held === settled) this.#held = undefined;
    });
  }

  #place(offset: number, data: Uint8Array, unique?: bigint): void {
    const { journal, uploads } = this.#parts;
    const append = unique !== undefined;
    const slice = this.#find(offset, data.length, append) ?? this.#begin(offset, append);
    const before = slice.buffer.extents.length;
    const length = slice.length;
    slice.write(offset, data, this.#mtime ?? wallClock());
    const extents = slice.buffer.extents.length - before;
    if (append || extents > 0 || slice.length > length) journal.grew(slice, extents, unique);
    const small = slice.blocks === 0;
    uploads.advance(slice);
    if (small && slice.blocks > 0) this.#large++;
    if (slice.length >= CHUNK_SIZE || (!append && slice.end % CHUNK_SIZE === 0))
      this.#freeze(slice);
  }

  /** The newest slice that can take the bytes, unless a newer one lies over them. */
  #find(offset: number, length: number, append: boolean): PendingSlice | undefined {
    for (let at = this.#growing.length - 1; at >= 0; at--) {
      const slice = this.#growing[at];
      if (slice?.append !== append || !slice.takes(offset, length, this.#parts.blockSize)) continue;
      return this.#isCovered(slice, offset, length) ? undefined : slice;
    }
    return undefined;
  }

  #isCovered(slice: PendingSlice, offset: number, length: number): boolean {
    for (let at = this.#pending.length - 1; at >= 0; at--) {
      const newer = this.#pending[at];
      if (newer === undefined || newer === slice) return false;
      if (newer.overlaps(offset, length)) return true;
    }
    return false;
  }

  #begin(offset: number, append: boolean): PendingSlice {
    const { journal, nextNumber } = this.#parts;
    const chunkIndex = Math.floor(offset / CHUNK_SIZE);
    const place = { ino: this.ino, chunkIndex, pos: offset % CHUNK_SIZE, append };
    const slice = this.#add(place, nextNumber());
    journal.begin(slice);
    this.#growing.push(slice);
    const [oldest] = this.#growing;
    if (this.#growing.length > GROWING && oldest !== undefined) this.#freeze(oldest);
    return slice;
  }

  #add(place: SlicePlace, number: number): PendingSlice {
    const numbers = { number, sequence: this.#sequence++ };
    const slice = new PendingSlice(place, numbers, this.#parts.spool);
    this.#pending.push(slice);
    return slice;
  }

  /** Takes a slice of a process before; it is frozen. */
  adopt(place: SlicePlace, number: number): PendingSlice {
    const slice = this.#add(place, number);
    slice.frozen = true;
    this.#mtime = wallClock();
    return slice;
  }

  /** Those before it too: what is stored together with it would have to wait for them. */
  #freeze(slice: PendingSlice): void {
    const count = this.#growing.indexOf(slice) + 1;
    for (const frozen of this.#growing.splice(0, count)) {
      frozen.frozen = true;
      this.store(frozen);
    }
  }

  /** Brings a frozen slice into the store. */
  store(slice: PendingSlice): void {
    const small = slice.blocks === 0;
    // What is known under an id keeps it: it may be stored already.
    this.#parts.uploads.finish(slice, this.#large > 0 || slice.identity !== undefined);
    if (small && slice.blocks > 0) this.#large++;
  }

  /** Freezes what grew old or is not written on any more. */
  freezeOld(): void {
    const time = performance.now();
    for (const slice of [...this.#growing]) {
      const age = time - slice.started;
      const idle = time - slice.touched;
      if (age > AGE_MAX_MS || (age > IDLE_MAX_MS && idle > IDLE_MAX_MS)) this.#freeze(slice);
    }
  }

  /** Begins to store everything; nobody waits for it. */
  freezeAll(): void {
    const newest = this.#growing.at(-1);
    if (newest !== undefined) this.#freeze(newest);
    this.#parts.uploads.hurry();
  }

  /**
   * Everything written so far is stored and committed; at once when nothing is pending.
   *
   * @throws FsError the first error, until the last handle is closed
   */
  flush(): Maybe<void> {
    if (this.#pending.length > 0) return this.#flushLater();
    if (this.#error !== undefined) throw this.#failure();
    return undefined;
  }

  async #flushLater(): Promise<void> {
    this.freezeAll();
    const sequence = this.#sequence - 1;
    await new Promise<void>((resolve) => this.#waiting.push({ sequence, resolve }));
    if (this.#error !== undefined) throw this.#failure();
  }

  /** The oldest slice is committed, or was given up for `error`. */
  settled(slice: PendingSlice, error: Error | undefined): void {
    const oldest = this.#pending.shift();
    if (oldest !== slice) throw new Error("Slices of a file were committed out of order");
    if (slice.blocks > 0) this.#large--;
    if (error !== undefined && this.#error === undefined) {
      this.fail(error);
      log.error({ error, ino: this.ino.toString() }, "written data could not be stored");
    }
    this.#parts.journal.end(slice);
    slice.buffer.free();
    while (this.#waiting.length > 0 && (this.#waiting[0]?.sequence ?? 0) < this.oldestSequence) {
      this.#waiting.shift()?.resolve();
    }
  }

  #failure(): FsError {
    const code = this.#error instanceof FsError ? this.#error.code : "EIO";
    return new FsError(code, "write", { cause: this.#error });
  }
}
