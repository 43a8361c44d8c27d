/**
 * Memory that worker threads fill and the serving thread answers from. Buffers are used again: to make them anew for each
 * request would cost more than what they are used for, and what is dropped takes its room until the next collection of garbage.
 */

/** Bytes of the smallest buffer. */
const SMALLEST = 4096;

export class SharedMemory {
  readonly #keepBytes: number;
  /** By their size; the size that was given last is the last one. */
  readonly #free = new Map<number, Uint8Array[]>();
  #freeBytes = 0;

  /** `keepBytes`: so much stays of what nobody uses. */
  constructor(keepBytes: number) {
    this.#keepBytes = keepBytes;
  }

  /** A buffer of at least `length` bytes, less than a third longer, with anything in it. */
  take(length: number): Uint8Array {
    const size = roomFor(length);
    const used = this.#free.get(size)?.pop();
    if (used === undefined) return new Uint8Array(new SharedArrayBuffer(size));
    this.#freeBytes -= size;
    return used;
  }

  /** Nobody looks at it any more. */
  give(buffer: Uint8Array): void {
    const size = buffer.length;
    if (size > this.#keepBytes) return;
    const others = this.#free.get(size) ?? [];
    this.#free.delete(size);
    this.#free.set(size, others);
    others.push(buffer);
    this.#freeBytes += size;
    if (this.#freeBytes > this.#keepBytes) this.#drop();
  }

  /** What was of no use for longest goes, so that it does not keep out what comes and goes all the time. */
  #drop(): void {
    for (const [size, buffers] of this.#free) {
      while (buffers.pop() !== undefined) {
        this.#freeBytes -= size;
        if (this.#freeBytes <= this.#keepBytes) return;
      }
      this.#free.delete(size);
    }
  }
}

/** Four sizes from one power of two to the next. */
function roomFor(length: number): number {
  if (length <= SMALLEST) return SMALLEST;
  const step = 2 ** (Math.floor(Math.log2(length - 1)) - 2);
  return Math.ceil(length / step) * step;
}
