/** Buffers for blocks on their way, used again: to make one for each block costs page faults and collections of garbage. */

const FREE_MAX = 8;

export class BufferPool {
  readonly #free: Buffer[] = [];
  readonly #keptIdle: number;
  #taken = 0;

  /** `keptIdle`: so many stay when none is in use. */
  constructor(keptIdle: number) {
    this.#keptIdle = keptIdle;
  }

  /** A buffer of at least `size` bytes, with anything in it. */
  take(size: number): Buffer {
    this.#taken++;
    const found = this.#free.findIndex((buffer) => buffer.length >= size);
    if (found < 0) return Buffer.allocUnsafeSlow(size);
    return this.#free.splice(found, 1)[0] as Buffer;
  }

  give(buffer: Buffer): void {
    this.#taken--;
    this.#free.push(buffer);
    this.#free.splice(this.#taken === 0 ? this.#keptIdle : FREE_MAX);
  }
}
