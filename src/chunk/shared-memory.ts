/**
 * Memory that worker threads fill and the serving thread answers from: buffers of block size that are used again, and
 * smaller ones. Bounded by who uses it.
 */
export class SharedMemory {
  readonly #size: number;
  readonly #keep: number;
  readonly #free: Uint8Array[] = [];

  /** `size`: bytes of a block; `keep`: how many unused buffers stay. */
  constructor(size: number, keep: number) {
    this.#size = size;
    this.#keep = keep;
  }

  /** A buffer of at least `length` bytes, with anything in it. */
  take(length: number): Uint8Array {
    if (length * 2 <= this.#size) return new Uint8Array(new SharedArrayBuffer(length));
    return this.#free.pop() ?? new Uint8Array(new SharedArrayBuffer(this.#size));
  }

  /** Nobody looks at it any more. */
  give(buffer: Uint8Array): void {
    if (buffer.length === this.#size && this.#free.length < this.#keep) this.#free.push(buffer);
  }
}
