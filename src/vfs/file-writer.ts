import { wallClock } from "../base/clock.ts";
import { FsError } from "../base/fs-error.ts";
import { log } from "../base/log.ts";
import type { Maybe } from "../base/maybe.ts";
import { CHUNK_SIZE, FILE_SIZE_MAX } from "../meta/limits.ts";
import type { Attr, Ino, Time } from "../meta/types.ts";
import type { Committer } from "./committer.ts";
import { PendingSlice, type SliceParts } from "./pending-slice.ts";

/** A slice that is written on stays open so long, in milliseconds (JuiceFS pkg/vfs/writer.go, 1.4). */
const AGE_MAX_MS = 5000;
const IDLE_MAX_MS = 1000;
/** Slices that may still grow; older ones are frozen. */
const GROWING = 4;
const PENDING_MAX = 1000;

export interface WriterParts extends SliceParts {
  readonly committer: Committer;
  /** A record was committed: the attributes now, and whether it landed elsewhere than was guessed. */
  readonly committed: (ino: Ino, attr: Attr, moved: boolean) => void;
}

/**
 * What was written to one inode and is not committed yet: slices in the order of their creation, which is the order
 * of their commits. Shared by all handles. The first error stays until the last handle is closed.
 */
export class FileWriter {
  readonly ino: Ino;
  readonly #parts: WriterParts;
  readonly #pending: PendingSlice[] = [];
  #growing: PendingSlice[] = [];
  #error: Error | undefined;
  #draining: Promise<void> | undefined;

  constructor(ino: Ino, parts: WriterParts) {
    this.ino = ino;
    this.#parts = parts;
  }

  get idle(): boolean {
    return this.#pending.length === 0;
  }

  get failed(): boolean {
    return this.#error !== undefined;
  }

  forgetError(): void {
    this.#error = undefined;
  }

  get mtime(): Time | undefined {
    return this.#pending.at(-1)?.mtime;
  }

  /** Where the pending data ends, or 0. */
  get end(): number {
    return this.#pending.reduce((end, slice) => Math.max(end, slice.end), 0);
  }

  overlaps(offset: number, length: number): boolean {
    return this.#pending.some((slice) => slice.start < offset + length && slice.end > offset);
  }

  /** Copies bytes into slices. @returns a promise when too much is pending */
  write(offset: number, data: Uint8Array, append: boolean): Maybe<void> {
    if (this.#error !== undefined) throw this.#failure();
    if (offset + data.length > FILE_SIZE_MAX) throw new FsError("EFBIG", "write");
    if (append) {
      this.#place(offset, data, true);
    } else {
      for (let from = 0; from < data.length;) {
        const at = offset + from;
        const count = Math.min(data.length - from, CHUNK_SIZE - (at % CHUNK_SIZE));
        this.#place(at, data.subarray(from, from + count), false);
        from += count;
      }
    }
    if (this.#pending.length > PENDING_MAX) return this.flush();
    return undefined;
  }

  #place(offset: number, data: Uint8Array, append: boolean): void {
    const slice = this.#find(offset, data.length, append) ?? this.#begin(offset, append);
    slice.mtime = wallClock();
    slice.write(offset, data);
    const full = slice.length === CHUNK_SIZE || (!append && slice.end % CHUNK_SIZE === 0);
    if (full) this.#freeze(slice);
  }

  /** The newest slice that can take the bytes, unless a newer one lies over them. */
  #find(offset: number, length: number, append: boolean): PendingSlice | undefined {
    for (const slice of this.#growing.toReversed()) {
      if (slice.append === append && slice.takes(offset, length)) {
        const later = this.#pending.slice(this.#pending.indexOf(slice) + 1);
        const hidden = later.some((other) => other.start < offset + length && other.end > offset);
        return hidden ? undefined : slice;
      }
    }
    return undefined;
  }

  #begin(offset: number, append: boolean): PendingSlice {
    const chunkIndex = Math.floor(offset / CHUNK_SIZE);
    const place = {
      ino: this.ino,
      chunkIndex,
      pos: offset % CHUNK_SIZE,
      append,
      mtime: wallClock(),
    };
    const slice = new PendingSlice(this.#parts, place);
    this.#pending.push(slice);
    this.#growing.push(slice);
    const [oldest] = this.#growing;
    if (this.#growing.length > GROWING && oldest !== undefined) this.#freeze(oldest);
    return slice;
  }

  #freeze(slice: PendingSlice): void {
    slice.freeze();
    this.#growing = this.#growing.filter((other) => other !== slice);
    this.#drain();
  }

  /** Freezes what grew old or is not written on any more. */
  freezeOld(): void {
    const time = Date.now();
    for (const slice of [...this.#growing]) {
      const age = time - slice.started;
      const idle = time - slice.touched;
      if (age > AGE_MAX_MS || (age > IDLE_MAX_MS && idle > IDLE_MAX_MS)) this.#freeze(slice);
    }
  }

  /**
   * Everything written so far is uploaded and committed; at once when nothing is pending.
   *
   * @throws FsError the first error, until the last handle is closed
   */
  flush(): Maybe<void> {
    if (this.#pending.length === 0) {
      if (this.#error !== undefined) throw this.#failure();
      return undefined;
    }
    return this.#flushLater();
  }

  async #flushLater(): Promise<void> {
    const pending = new Set(this.#pending);
    for (const slice of [...this.#growing]) this.#freeze(slice);
    while (this.#pending.some((slice) => pending.has(slice))) {
      this.#drain();
      await this.#draining;
    }
    if (this.#error !== undefined) throw this.#failure();
  }

  /** Commits frozen slices from the oldest on. One at work per file. */
  #drain(): void {
    this.#draining ??= this.#commitFrozen().finally(() => {
      this.#draining = undefined;
      if (this.#pending[0]?.frozen === true) this.#drain();
    });
  }

  async #commitFrozen(): Promise<void> {
    const ready: Promise<void>[] = [];
    // Uploads are waited for in order; their commits then join one batch.
    for (const slice of this.#pending.filter(({ frozen }) => frozen)) {
      if (this.#pending[ready.length] !== slice) break;
      try {
        await slice.uploaded;
        const commit = await slice.commit();
        ready.push(
          this.#parts.committer.commit(commit).then((outcome) => this.#settle(slice, outcome)),
        );
      } catch (error) {
        ready.push(this.#fail(slice, error));
      }
    }
    await Promise.all(ready);
    this.#pending.splice(0, ready.length);
  }

  async #settle(
    slice: PendingSlice,
    outcome: Awaited<ReturnType<Committer["commit"]>>,
  ): Promise<void> {
    if ("error" in outcome) {
      await this.#fail(slice, outcome.error);
      return;
    }
    this.#parts.committed(this.ino, outcome.attr, outcome.offset !== slice.start);
  }

  async #fail(slice: PendingSlice, cause: unknown): Promise<void> {
    const error = cause instanceof Error ? cause : new Error(String(cause));
    this.#error ??= error;
    log.error({ error, ino: this.ino.toString() }, "written data could not be stored");
    // An answer that never came may still be a commit: its objects are kept.
    if (error instanceof FsError && error.code !== "EIO") {
      await slice.discard().catch(() => undefined);
    }
  }

  #failure(): FsError {
    const code = this.#error instanceof FsError ? this.#error.code : "EIO";
    return new FsError(code, "write", { cause: this.#error });
  }
}
