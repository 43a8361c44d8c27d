import { closeSync, constants, ftruncateSync, openSync, readSync, writeSync } from "node:fs";

/**
 * Data that was written and is not stored yet, in one file in memory (tmpfs): the thread that serves the kernel puts it there
 * with one copy, workers read it from there, and a process that takes over finds it. Space is given out in powers of two
 * from a page up to a block, neighbours that are free grow together again.
 */

export interface Extent {
  readonly offset: number;
  /** A power of two. */
  readonly length: number;
}

const PAGE = 4096;
/** Largest extent. */
const ARENA = 4 << 20;

export class Spool {
  readonly fd: number;
  /** Free extents by the power of their length in pages. */
  readonly #free: FreeList[];
  #end = 0;
  #used = 0;

  /** `keep`: what the file holds belongs to a process before. */
  constructor(path: string, { keep = false }: { keep?: boolean } = {}) {
    const flags = constants.O_RDWR | constants.O_CREAT | (keep ? 0 : constants.O_TRUNC);
    this.fd = openSync(path, flags, 0o600);
    this.#free = Array.from({ length: Math.log2(ARENA / PAGE) + 1 }, () => new FreeList());
  }

  /** Bytes given out. */
  get used(): number {
    return this.#used;
  }

  /** Space for at least `length` bytes, at most the largest extent. */
  allocate(length: number): Extent {
    const order = Math.ceil(Math.log2(Math.max(length, PAGE) / PAGE));
    let found = order;
    while (found < this.#free.length && this.#free[found]?.empty === true) found++;
    let offset: number;
    if (found === this.#free.length) {
      offset = this.#end;
      this.#end += ARENA;
      found--;
    } else {
      offset = this.#free[found]?.pop() ?? 0;
    }
    // The upper halves of what is too large stay free.
    while (found > order) {
      found--;
      this.#free[found]?.add(offset + PAGE * 2 ** found);
    }
    const size = PAGE * 2 ** order;
    this.#used += size;
    return { offset, length: size };
  }

  free({ offset, length }: Extent): void {
    this.#used -= length;
    let start = offset;
    let order = Math.log2(length / PAGE);
    while (order < this.#free.length - 1) {
      const neighbour = this.#neighbour(start, PAGE * 2 ** order);
      if (this.#free[order]?.delete(neighbour) !== true) break;
      start = Math.min(start, neighbour);
      order++;
    }
    this.#free[order]?.add(start);
  }

  /** Gives the memory back to the system where nothing is held; what is written next has to get it again. */
  shrink(): void {
    if (this.#used > 0 || this.#end === 0) return;
    for (const free of this.#free) free.clear();
    this.#end = 0;
    ftruncateSync(this.fd, 0);
  }

  /** Takes extents that somebody else was given, before anything is allocated. */
  adopt(extents: readonly Extent[]): void {
    const taken = extents.toSorted((a, b) => a.offset - b.offset);
    for (const { offset, length } of taken) {
      this.#release(this.#end, offset);
      this.#end = offset + length;
      this.#used += length;
    }
    const end = Math.ceil(this.#end / ARENA) * ARENA;
    this.#release(this.#end, end);
    this.#end = end;
  }

  write(at: number, data: Uint8Array): void {
    for (let done = 0; done < data.length;) {
      done += writeSync(this.fd, data, done, data.length - done, at + done);
    }
  }

  read(at: number, into: Uint8Array): void {
    readFully(this.fd, at, into);
  }

  close(): void {
    closeSync(this.fd);
  }

  #neighbour(offset: number, length: number): number {
    const inArena = offset % ARENA;
    return (
      offset -
      inArena +
      (Math.floor(inArena / length) % 2 === 0 ? inArena + length : inArena - length)
    );
  }

  /** Makes [from, to) free, in extents as large as their places allow. */
  #release(from: number, to: number): void {
    for (let at = from; at < to;) {
      let size = PAGE;
      while (size < ARENA && at % (size * 2) === 0 && at + size * 2 <= to) size *= 2;
      this.#used += size;
      this.free({ offset: at, length: size });
      at += size;
    }
  }
}

/** Offsets of which the last one that came is taken first: its memory is still in the processor's caches. */
class FreeList {
  readonly #members = new Set<number>();
  /** May hold some that were taken since. */
  #stack: number[] = [];

  get empty(): boolean {
    return this.#members.size === 0;
  }

  add(offset: number): void {
    this.#members.add(offset);
    this.#stack.push(offset);
    if (this.#stack.length > 64 && this.#stack.length > this.#members.size * 4) {
      this.#stack = [...this.#members];
    }
  }

  /** @returns false when it is not a member */
  delete(offset: number): boolean {
    return this.#members.delete(offset);
  }

  pop(): number | undefined {
    for (let offset = this.#stack.pop(); offset !== undefined; offset = this.#stack.pop()) {
      if (this.#members.delete(offset)) return offset;
    }
    return undefined;
  }

  clear(): void {
    this.#members.clear();
    this.#stack = [];
  }
}

/** Reads the bytes at `at` of a spool's file, also in another thread. */
export function readFully(fd: number, at: number, into: Uint8Array): void {
  for (let done = 0; done < into.length;) {
    const count = readSync(fd, into, done, into.length - done, at + done);
    if (count === 0) throw new Error(`The file in memory ends before ${at + into.length}`);
    done += count;
  }
}

/** Reads what lies at `places` (offset and length in turn), one after the other. */
export function readPlaces(fd: number, places: readonly number[], into: Uint8Array): void {
  for (let at = 0, index = 0; index < places.length; index += 2) {
    const length = places[index + 1] ?? 0;
    readFully(fd, places[index] ?? 0, into.subarray(at, at + length));
    at += length;
  }
}
