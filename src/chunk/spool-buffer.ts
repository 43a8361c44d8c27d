import type { Extent, Spool } from "./spool.ts";

/** Extents grow with what is in the buffer already, up to this. */
const EXTENT_MAX = 1 << 20;

/** Bytes in a spool that grow at their end; where each of them lies does not change. */
export class SpoolBuffer {
  readonly #spool: Spool;
  readonly #extents: Extent[] = [];
  /** Where in the buffer each extent begins. */
  readonly #starts: number[] = [];
  #capacity = 0;

  constructor(spool: Spool) {
    this.#spool = spool;
  }

  /** Bytes of memory it takes. */
  get capacity(): number {
    return this.#capacity;
  }

  get extents(): readonly Extent[] {
    return this.#extents;
  }

  /**
   * Puts bytes at `at`, where the buffer reaches already.
   *
   * @returns true when it had to take more space
   */
  write(at: number, data: Uint8Array): boolean {
    const grows = at + data.length > this.#capacity;
    while (at + data.length > this.#capacity) this.#grow(at + data.length - this.#capacity);
    for (let done = 0; done < data.length;) {
      const { offset, length } = this.#placeOf(at + done);
      const count = Math.min(length, data.length - done);
      this.#spool.write(offset, count === data.length ? data : data.subarray(done, done + count));
      done += count;
    }
    return grows;
  }

  read(at: number, into: Uint8Array): void {
    for (let done = 0; done < into.length;) {
      const { offset, length } = this.#placeOf(at + done);
      const count = Math.min(length, into.length - done);
      this.#spool.read(offset, into.subarray(done, done + count));
      done += count;
    }
  }

  /** Where in the spool's file the bytes [at, at + length) lie: offset and length in turn. */
  places(at: number, length: number): number[] {
    const places: number[] = [];
    for (let done = 0; done < length;) {
      const place = this.#placeOf(at + done);
      const count = Math.min(place.length, length - done);
      const last = places.length - 2;
      // Neighbours in the file are read at once.
      if (last >= 0 && (places[last] ?? 0) + (places[last + 1] ?? 0) === place.offset) {
        places[last + 1] = (places[last + 1] ?? 0) + count;
      } else {
        places.push(place.offset, count);
      }
      done += count;
    }
    return places;
  }

  /** Takes space that a process before was given for it. */
  adopt(extents: readonly Extent[]): void {
    for (const extent of extents) this.#add(extent);
  }

  free(): void {
    for (const extent of this.#extents) this.#spool.free(extent);
    this.#extents.length = 0;
    this.#starts.length = 0;
    this.#capacity = 0;
  }

  #grow(missing: number): void {
    this.#add(this.#spool.allocate(Math.min(Math.max(missing, this.#capacity), EXTENT_MAX)));
  }

  #add(extent: Extent): void {
    this.#starts.push(this.#capacity);
    this.#extents.push(extent);
    this.#capacity += extent.length;
  }

  /** Where byte `at` lies in the file, and how many bytes follow it there. */
  #placeOf(at: number): Extent {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#starts[middle] ?? 0) <= at) low = middle;
      else high = middle - 1;
    }
    const extent = this.#extents[low];
    if (extent === undefined) throw new Error("Nothing was written to this buffer");
    const inside = at - (this.#starts[low] ?? 0);
    return { offset: extent.offset + inside, length: extent.length - inside };
  }
}
