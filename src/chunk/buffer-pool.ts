/**
 * Buffers of block size that are used again: memory that was touched once needs no zeroing by the kernel. Bounded by who
 * uses it.
 */
export class BufferPool {
  readonly #size: number;
  readonly #keep: number;
  readonly #free: Buffer[] = [];

  /** @param keep how many unused buffers stay */
  constructor(size: number, keep: number) {
    this.#size = size;
    this.#keep = keep;
  }

  /** A buffer of at least `length` bytes, with anything in it. Small ones are not pooled. */
  take(length: number): Buffer {
    if (length * 2 <= this.#size) return Buffer.allocUnsafeSlow(length);
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#size);
  }

  give(buffer: Buffer): void {
    if (buffer.length === this.#size && this.#free.length < this.#keep) this.#free.push(buffer);
  }
}
