import type { Random } from "../../support/random.ts";

const PAGE = 4096;

/** A file's bytes in pages: as they were written, and as they are on the disk. A page that both have is one buffer. */
export class DurableFile {
  #size = 0;
  #pages = new Map<number, Buffer>();
  #durableSize = 0;
  #durablePages = new Map<number, Buffer>();
  readonly #dirty = new Set<number>();
  /** Bytes were cut off since the last sync: what is on the disk is either all of before or none of it. */
  #cut = false;

  get size(): number {
    return this.#size;
  }

  read(offset: number, length: number): Buffer {
    const bytes = Buffer.alloc(Math.max(0, Math.min(length, this.#size - offset)));
    for (const { page, from, at, count } of pieces(offset, bytes.length)) {
      this.#pages.get(page)?.copy(bytes, at, from, from + count);
    }
    return bytes;
  }

  write(offset: number, data: Uint8Array): void {
    for (const { page, from, at, count } of pieces(offset, data.length)) {
      this.#own(page).set(data.subarray(at, at + count), from);
    }
    this.#size = Math.max(this.#size, offset + data.length);
  }

  truncate(size: number): void {
    if (size < this.#size) {
      this.#cut = true;
      if (size % PAGE !== 0) this.#own(Math.floor(size / PAGE)).fill(0, size % PAGE);
      for (const page of this.#pages.keys()) {
        if (page < Math.ceil(size / PAGE)) continue;
        this.#pages.delete(page);
        this.#dirty.add(page);
      }
    }
    this.#size = size;
  }

  sync(): void {
    for (const page of this.#dirty) keep(this.#durablePages, page, this.#pages.get(page));
    this.#dirty.clear();
    this.#durableSize = this.#size;
    this.#cut = false;
  }

  /** Only what was synced is left. With `chance` also some of the pages and of the lengths that were not. */
  losePower(chance?: Random): void {
    const grown = chance?.below(2) === 1;
    if (chance !== undefined && (grown || !this.#cut)) {
      for (const page of this.#dirty) {
        if (chance.below(2) === 1) keep(this.#durablePages, page, this.#pages.get(page));
      }
    }
    if (grown) this.#durableSize = this.#size;
    this.#forgetBehind(this.#durableSize);
    this.#size = this.#durableSize;
    this.#pages = new Map(this.#durablePages);
    this.#dirty.clear();
    this.#cut = false;
  }

  /** A length that came to the disk without its bytes shows zeros, never what lay behind another length. */
  #forgetBehind(size: number): void {
    for (const [page, bytes] of this.#durablePages) {
      if (page * PAGE >= size) this.#durablePages.delete(page);
      else if ((page + 1) * PAGE > size) {
        this.#durablePages.set(page, Buffer.from(bytes).fill(0, size - page * PAGE));
      }
    }
  }

  /** A page that may be written to. */
  #own(page: number): Buffer {
    this.#dirty.add(page);
    const known = this.#pages.get(page);
    if (known !== undefined && known !== this.#durablePages.get(page)) return known;
    const own = known === undefined ? Buffer.alloc(PAGE) : Buffer.from(known);
    this.#pages.set(page, own);
    return own;
  }
}

function keep(pages: Map<number, Buffer>, page: number, bytes: Buffer | undefined): void {
  if (bytes === undefined) pages.delete(page);
  else pages.set(page, bytes);
}

/** Which part of which page each part of a range is. */
function* pieces(
  offset: number,
  length: number,
): Generator<{ page: number; from: number; at: number; count: number }> {
  for (let at = 0; at < length;) {
    const from = (offset + at) % PAGE;
    const count = Math.min(PAGE - from, length - at);
    yield { page: Math.floor((offset + at) / PAGE), from, at, count };
    at += count;
  }
}
