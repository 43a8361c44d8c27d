import { FsError } from "../base/fs-error.ts";
import type { Maybe } from "../base/maybe.ts";
import type { BlockCache, PinnedBlock } from "../chunk/block-cache.ts";
import type { BlockStore } from "../chunk/block-store.ts";
import { CHUNK_SIZE } from "../meta/limits.ts";
import { cutPieces, type Piece } from "../meta/merge.ts";
import type { Ino } from "../meta/types.ts";
import type { ReadHandle } from "./file-data.ts";

/** Zeros for holes: views of this are handed out. */
const ZEROS = Buffer.alloc(1 << 20);
/** Two sequential streams are followed in each open file. */
const STREAMS = 2;

export interface ReaderParts {
  readonly store: BlockStore;
  readonly cache: BlockCache;
  readonly readaheadMax: number;
  /** The merged view of a chunk; from memory at once. */
  readonly view: (ino: Ino, chunkIndex: number) => Maybe<readonly Piece[]>;
}

interface Stream {
  /** Where the next read is expected. */
  next: number;
  /** How far ahead is loaded, bytes; 0: not sequential yet. */
  window: number;
  used: number;
}

/** The read side of one open file: follows its streams and loads ahead of them. */
export class FileReader implements ReadHandle {
  readonly ino: Ino;
  readonly #parts: ReaderParts;
  readonly #streams: Stream[] = [];
  #clock = 0;

  constructor(ino: Ino, parts: ReaderParts) {
    this.ino = ino;
    this.#parts = parts;
  }

  /** Bytes [offset, offset + size) of the file, `length` bytes long; as views. */
  read(offset: number, size: number, length: number): Maybe<readonly Uint8Array[]> {
    const end = Math.min(offset + size, length);
    if (end <= offset) return [];
    const sequential = this.#follow(offset, end, length);
    const first = Math.floor(offset / CHUNK_SIZE);
    const last = Math.floor((end - 1) / CHUNK_SIZE);
    if (first === last) return this.#readChunk(first, offset, end, sequential);
    return this.#readChunks(offset, end, sequential);
  }

  async #readChunks(
    offset: number,
    end: number,
    sequential: boolean,
  ): Promise<readonly Uint8Array[]> {
    const border = Math.ceil((offset + 1) / CHUNK_SIZE) * CHUNK_SIZE;
    const parts: Maybe<readonly Uint8Array[]>[] = [
      this.#readChunk(border / CHUNK_SIZE - 1, offset, border, sequential),
      this.#readChunk(border / CHUNK_SIZE, border, end, sequential),
    ];
    const [head, tail] = [await parts[0], await parts[1]];
    return [...(head ?? []), ...(tail ?? [])];
  }

  #readChunk(
    index: number,
    from: number,
    to: number,
    whole: boolean,
  ): Maybe<readonly Uint8Array[]> {
    const view = this.#parts.view(this.ino, index);
    const start = index * CHUNK_SIZE;
    if (view instanceof Promise) {
      return view.then((pieces) =>
        this.#readPieces(cutPieces(pieces, from - start, to - start), whole),
      );
    }
    return this.#readPieces(cutPieces(view, from - start, to - start), whole);
  }

  #readPieces(pieces: readonly Piece[], whole: boolean): Maybe<readonly Uint8Array[]> {
    const parts: Maybe<Part>[] = [];
    let later = false;
    for (const piece of pieces) {
      if (piece.id === 0n) {
        parts.push(...zeros(piece.len));
        continue;
      }
      for (const part of this.#readPiece(piece, whole)) {
        later ||= part instanceof Promise;
        parts.push(part);
      }
    }
    return later ? this.#viewsLater(parts) : this.#views(parts as Part[]);
  }

  async #viewsLater(parts: readonly Maybe<Part>[]): Promise<Uint8Array[]> {
    // Each is waited for, also behind a failure: none may stay pinned.
    const settled = await Promise.allSettled(parts.map(async (part) => part));
    const done = settled.flatMap((part) => (part.status === "fulfilled" ? part.value : []));
    const views = this.#views(done);
    const failure = settled.find((part) => part.status === "rejected");
    if (failure !== undefined) throw failure.reason as Error;
    return views;
  }

  #views(parts: readonly Part[]): Uint8Array[] {
    this.#parts.cache.releaseLater(parts.flatMap(({ block }) => block ?? []));
    return parts.map(({ view }) => view);
  }

  /** The blocks that a piece lies in. */
  *#readPiece(piece: Piece, whole: boolean): Generator<Maybe<Part>> {
    const { blockSize } = this.#parts.store;
    for (let at = piece.off; at < piece.off + piece.len;) {
      const index = Math.floor(at / blockSize);
      const from = at - index * blockSize;
      const to = Math.min(piece.off + piece.len - index * blockSize, blockSize);
      yield this.#readBlock({ id: piece.id, sliceSize: piece.size, index }, { from, to, whole });
      at = index * blockSize + to;
    }
  }

  #readBlock(
    block: { id: bigint; sliceSize: number; index: number },
    { from, to, whole }: { from: number; to: number; whole: boolean },
  ): Maybe<Part> {
    const { cache, store } = this.#parts;
    const small = !whole && store.rangeReads && (to - from) * 4 <= store.blockSize;
    if (small && from > 0 && !cache.has(block)) {
      const into = Buffer.allocUnsafeSlow(to - from);
      const range = { offset: from, length: to - from };
      return store.getRange(block, range, into).then(() => ({ view: into }), failed);
    }
    const found = cache.get(block);
    if (!(found instanceof Promise)) return { view: found.data.subarray(from, to), block: found };
    return found.then(
      (loaded) => ({ view: loaded.data.subarray(from, to), block: loaded }),
      failed,
    );
  }

  /** Notes a read in its stream and loads ahead of it. @returns true when it is sequential */
  #follow(offset: number, end: number, length: number): boolean {
    const { store, readaheadMax } = this.#parts;
    const { blockSize } = store;
    this.#clock++;
    let stream = this.#streams.find(
      ({ next, window }) =>
        offset >= next - Math.max(window / 8, blockSize / 4) &&
        offset <= next + window + blockSize / 4,
    );
    if (stream === undefined) {
      stream = { next: offset, window: offset === 0 ? blockSize : 0, used: this.#clock };
      if (this.#streams.length === STREAMS) {
        const [first, second] = this.#streams;
        this.#streams.splice((first?.used ?? 0) < (second?.used ?? 0) ? 0 : 1, 1);
      }
      this.#streams.push(stream);
    } else {
      stream.window = Math.min(Math.max(stream.window * 2, blockSize), readaheadMax);
    }
    stream.next = Math.max(stream.next, end);
    stream.used = this.#clock;
    if (stream.window > 0) this.#loadAhead(end, Math.min(end + stream.window, length));
    return stream.window > 0;
  }

  #loadAhead(from: number, to: number): void {
    for (let at = from; at < to;) {
      const index = Math.floor(at / CHUNK_SIZE);
      const start = index * CHUNK_SIZE;
      const until = Math.min(to, start + CHUNK_SIZE);
      const view = this.#parts.view(this.ino, index);
      if (view instanceof Promise) {
        view.catch(() => undefined);
        return;
      }
      this.#prefetch(cutPieces(view, at - start, until - start));
      at = until;
    }
  }

  #prefetch(pieces: readonly Piece[]): void {
    const { cache, store } = this.#parts;
    for (const { id, size, off, len } of pieces) {
      if (id === 0n) continue;
      const last = Math.floor((off + len - 1) / store.blockSize);
      for (let index = Math.floor(off / store.blockSize); index <= last; index++) {
        cache.prefetch({ id, sliceSize: size, index });
      }
    }
  }
}

interface Part {
  readonly view: Uint8Array;
  readonly block?: PinnedBlock;
}

function zeros(length: number): Part[] {
  const parts: Part[] = [];
  for (let left = length; left > 0; left -= ZEROS.length) {
    parts.push({ view: ZEROS.subarray(0, Math.min(left, ZEROS.length)) });
  }
  return parts;
}

function failed(cause: unknown): never {
  throw new FsError("EIO", "read", { cause });
}
