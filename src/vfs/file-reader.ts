import { FsError } from "../base/fs-error.ts";
import type { Maybe } from "../base/maybe.ts";
import {
  ObjectMissing,
  type BlockId,
  type BlockStore,
  type ByteRange,
} from "../chunk/block-store.ts";
import { blockLength } from "../chunk/block.ts";
import type { BlockCache, PinnedBlock } from "../chunk/block-cache.ts";
import { CHUNK_SIZE } from "../meta/limits.ts";
import { addRecord, cutPieces, type Piece } from "../meta/merge.ts";
import type { Ino } from "../meta/types.ts";
import type { ChunkViews } from "./chunk-views.ts";
import type { ReadHandle } from "./file-data.ts";
import type { PendingSlice } from "./pending-slice.ts";
import { ReadStreams } from "./read-streams.ts";

/** Zeros for holes: views of this are handed out. */
const ZEROS = Buffer.alloc(1 << 20);
/** A block that is asked for piece by piece so often is fetched whole. */
const PIECES_MAX = 2;
const MISSING_TRIES = 3;

export interface ReaderParts {
  readonly store: BlockStore;
  readonly cache: BlockCache;
  readonly readaheadMax: number;
  readonly views: ChunkViews;
  /** What is written and not committed yet, oldest first. */
  readonly pending: (ino: Ino) => readonly PendingSlice[];
}

interface Part {
  readonly view: Uint8Array;
  readonly block?: PinnedBlock;
}

/** The read side of one open file: follows its streams and loads ahead of them. */
export class FileReader implements ReadHandle {
  readonly ino: Ino;
  readonly #parts: ReaderParts;
  readonly #streams: ReadStreams;

  constructor(ino: Ino, parts: ReaderParts) {
    this.ino = ino;
    this.#parts = parts;
    this.#streams = new ReadStreams(parts.store.blockSize, parts.readaheadMax);
  }

  /** Bytes [offset, offset + size) of the file, `length` bytes long; as views. */
  read(offset: number, size: number, length: number): Maybe<readonly Uint8Array[]> {
    const end = Math.min(offset + size, length);
    if (end <= offset) return [];
    const ahead = this.#streams.follow(offset, end);
    if (ahead > 0) this.#loadAhead(end, Math.min(end + ahead, length));
    const first = Math.floor(offset / CHUNK_SIZE);
    const last = Math.floor((end - 1) / CHUNK_SIZE);
    if (first === last) return this.#readChunk(first, offset, end, ahead > 0);
    return this.#readChunks(offset, end, ahead > 0);
  }

  async #readChunks(offset: number, end: number, whole: boolean): Promise<readonly Uint8Array[]> {
    const border = Math.ceil((offset + 1) / CHUNK_SIZE) * CHUNK_SIZE;
    const parts: Maybe<readonly Uint8Array[]>[] = [
      this.#readChunk(border / CHUNK_SIZE - 1, offset, border, whole),
      this.#readChunk(border / CHUNK_SIZE, border, end, whole),
    ];
    return (await Promise.all(parts.map(copied))).flat();
  }

  /** What is missing may have been replaced since its view was read: then the view is read again. */
  #readChunk(
    index: number,
    from: number,
    to: number,
    whole: boolean,
  ): Maybe<readonly Uint8Array[]> {
    const found = this.#readChunkOnce(index, from, to, whole);
    if (!(found instanceof Promise)) return found;
    return found.catch(async (error: unknown) => {
      for (let tries = 0; tries < MISSING_TRIES && isMissing(error); tries++) {
        this.#parts.views.dropChunk(this.ino, index);
        try {
          return await this.#readChunkOnce(index, from, to, whole);
        } catch (again) {
          error = again;
        }
      }
      throw error;
    });
  }

  #readChunkOnce(
    index: number,
    from: number,
    to: number,
    whole: boolean,
  ): Maybe<readonly Uint8Array[]> {
    return this.#parts.views.look(this.ino, index, (view) =>
      this.#readView(view, index, { from, to, whole }),
    );
  }

  #readView(
    view: readonly Piece[],
    index: number,
    { from, to, whole }: { from: number; to: number; whole: boolean },
  ): Maybe<readonly Uint8Array[]> {
    const start = index * CHUNK_SIZE;
    let pieces = cutPieces(view, from - start, to - start);
    const pending = this.#parts
      .pending(this.ino)
      .filter((slice) => slice.overlaps(from, to - from));
    for (const [at, slice] of pending.entries()) {
      const first = Math.max(slice.start, from);
      const len = Math.min(slice.end, to) - first;
      // Numbered below zero: no slice that is stored has such an id.
      const id = -1n - BigInt(at);
      pieces = addRecord(pieces, {
        pos: first - start,
        id,
        size: 0,
        off: first - slice.start,
        len,
      });
    }
    return this.#readPieces(pieces, pending, whole);
  }

  #readPieces(
    pieces: readonly Piece[],
    pending: readonly PendingSlice[],
    whole: boolean,
  ): Maybe<readonly Uint8Array[]> {
    const parts: Maybe<Part>[] = [];
    let later = false;
    for (const piece of pieces) {
      if (piece.id === 0n) {
        parts.push(...zeros(piece.len));
        continue;
      }
      if (piece.id < 0n) {
        parts.push(readPending(pending[Number(-1n - piece.id)], piece));
        continue;
      }
      for (const part of this.#readPiece(piece, whole)) {
        later ||= part instanceof Promise;
        parts.push(part);
      }
    }
    return later ? this.#viewsLater(parts) : this.#viewsOf(parts as Part[]);
  }

  async #viewsLater(parts: readonly Maybe<Part>[]): Promise<Uint8Array[]> {
    // Each is waited for, also behind a failure: none may stay pinned.
    const settled = await Promise.allSettled(parts.map(async (part) => part));
    const done = settled.flatMap((part) => (part.status === "fulfilled" ? part.value : []));
    const views = this.#viewsOf(done);
    const failure = settled.find((part) => part.status === "rejected");
    if (failure !== undefined) throw failure.reason as Error;
    return views;
  }

  #viewsOf(parts: readonly Part[]): Uint8Array[] {
    this.#parts.cache.releaseLater(parts.flatMap(({ block }) => block ?? []));
    return parts.map(({ view }) => view);
  }

  /** The blocks that a piece lies in. */
  *#readPiece(piece: Piece, sequential: boolean): Generator<Maybe<Part>> {
    const { blockSize } = this.#parts.store;
    const whole = sequential && fillsBlock(piece, blockSize);
    // A request is a part of a block; a slice of several blocks is one file's.
    const own = sequential && (piece.size > blockSize || whole);
    for (let at = piece.off; at < piece.off + piece.len;) {
      const index = Math.floor(at / blockSize);
      const from = at - index * blockSize;
      const to = Math.min(piece.off + piece.len - index * blockSize, blockSize);
      const block = { id: piece.id, sliceSize: piece.size, index };
      if (own && to === blockLength(piece.size, index, blockSize)) this.#parts.cache.spent(block);
      yield this.#readBlock(block, { from, to, whole });
      at = index * blockSize + to;
    }
  }

  #readBlock(
    block: { id: bigint; sliceSize: number; index: number },
    { from, to, whole }: { from: number; to: number; whole: boolean },
  ): Maybe<Part> {
    const { cache, store } = this.#parts;
    const small = (to - from) * 4 <= store.blockSize;
    if (!small || cache.has(block)) return this.#readWhole(block, from, to);
    const range = { offset: from, length: to - from };
    // A stream has the block loaded whole, unless this is all that the slice has.
    if (!whole || range.length === block.sliceSize) {
      const found = cache.readQuickly(block, range);
      if (found !== undefined) return { view: found.data, block: found };
    }
    if (whole || cache.countMiss(block) >= PIECES_MAX) return this.#readWhole(block, from, to);
    return this.#readRange(block, range);
  }

  #readWhole(block: BlockId, from: number, to: number): Maybe<Part> {
    const found = this.#parts.cache.get(block);
    if (!(found instanceof Promise)) return { view: found.data.subarray(from, to), block: found };
    return found.then(
      (loaded) => ({ view: loaded.data.subarray(from, to), block: loaded }),
      failed,
    );
  }

  async #readRange(block: BlockId, range: ByteRange): Promise<Part> {
    const found = await this.#parts.cache.readRange(block, range).catch(failed);
    if (found !== undefined) return { view: found.data, block: found };
    return this.#readWhole(block, range.offset, range.offset + range.length);
  }

  #loadAhead(from: number, to: number): void {
    for (let at = from; at < to;) {
      const index = Math.floor(at / CHUNK_SIZE);
      const start = index * CHUNK_SIZE;
      const until = Math.min(to, start + CHUNK_SIZE);
      const view = this.#parts.views.get(this.ino, index);
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
    for (const piece of pieces) {
      const { id, size, off, len } = piece;
      if (id === 0n || !fillsBlock(piece, store.blockSize)) continue;
      const last = Math.floor((off + len - 1) / store.blockSize);
      for (let index = Math.floor(off / store.blockSize); index <= last; index++) {
        cache.prefetch({ id, sliceSize: size, index });
      }
    }
  }
}

/** What is read is lent for one turn of the event loop: who waits for more needs bytes of his own. */
async function copied(views: Maybe<readonly Uint8Array[]>): Promise<readonly Uint8Array[]> {
  return (await views).map((view) => Buffer.from(view));
}

/** False where most of a block is somebody else's: many small slices are stored in one. */
function fillsBlock({ size, len }: Piece, blockSize: number): boolean {
  return len * 2 >= Math.min(size, blockSize);
}

function readPending(slice: PendingSlice | undefined, { off, len }: Piece): Part {
  if (slice === undefined) throw new Error("A piece of no pending slice");
  const view = Buffer.allocUnsafe(len);
  slice.buffer.read(off, view);
  return { view };
}

function zeros(length: number): Part[] {
  const parts: Part[] = [];
  for (let left = length; left > 0; left -= ZEROS.length) {
    parts.push({ view: ZEROS.subarray(0, Math.min(left, ZEROS.length)) });
  }
  return parts;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && error.cause instanceof ObjectMissing;
}

function failed(cause: unknown): never {
  throw new FsError("EIO", "read", { cause });
}
