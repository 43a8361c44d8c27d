import { LRUCache } from "lru-cache";
import type { Maybe } from "../base/maybe.ts";
import { BlockCache } from "../chunk/block-cache.ts";
import type { BlockStore } from "../chunk/block-store.ts";
import { BufferPool } from "../chunk/buffer-pool.ts";
import { CHUNK_SIZE } from "../meta/limits.ts";
import { mergeSlices, type Piece } from "../meta/merge.ts";
import type { Meta } from "../meta/meta.ts";
import type { Attr, Ino, Time } from "../meta/types.ts";
import { Committer } from "./committer.ts";
import type { FileData, ReadHandle, WriteAt } from "./file-data.ts";
import { FileReader, type ReaderParts } from "./file-reader.ts";
import { FileWriter, type WriterParts } from "./file-writer.ts";

const TICK_MS = 100;
/** Merged views of chunks that are remembered. */
const VIEWS = 20_000;

export interface DataOptions {
  /** Bytes of file data in memory, written and read. */
  readonly bufferBytes: number;
  readonly readaheadMax: number;
}

export interface DataListener {
  committed(ino: Ino, attr: Attr, moved: boolean): void;
}

/**
 * The contents of files: pending writes, views of chunks, blocks in memory. Half of the memory is for what was written and
 * is not stored yet; a writer that is quicker gets its answer when there is room again.
 */
export class DataEngine implements FileData {
  readonly #meta: Pick<Meta, "readChunk">;
  readonly #store: BlockStore;
  readonly #writers = new Map<Ino, FileWriter>();
  readonly #handles = new Map<Ino, number>();
  readonly #views = new LRUCache<string, readonly Piece[]>({ max: VIEWS });
  readonly #viewLoads = new Map<string, Promise<readonly Piece[]>>();
  readonly #viewKeys = new Map<Ino, Set<number>>();
  readonly #writerParts: WriterParts;
  readonly #readerParts: ReaderParts;
  readonly #dirtyMax: number;
  readonly #waiting: (() => void)[] = [];
  readonly #timer: NodeJS.Timeout;
  #dirty = 0;

  constructor(
    meta: Pick<Meta, "readChunk" | "newSliceId" | "commitSlices">,
    store: BlockStore,
    { options, listener }: { options: DataOptions; listener: DataListener },
  ) {
    const half = options.bufferBytes / 2;
    const pool = new BufferPool(store.blockSize, Math.ceil(half / 4 / store.blockSize));
    this.#meta = meta;
    this.#store = store;
    this.#dirtyMax = half;
    this.#writerParts = {
      ...{ store, pool },
      committer: new Committer((commits) => meta.commitSlices(commits)),
      newSliceId: () => meta.newSliceId(),
      account: (bytes) => {
        this.#account(bytes);
      },
      committed: (ino, attr, moved) => {
        this.#dropViews(ino);
        listener.committed(ino, attr, moved);
      },
    };
    this.#readerParts = {
      store,
      cache: new BlockCache(store, pool, { capacityBytes: half }),
      readaheadMax: Math.min(options.readaheadMax, half / 2),
      view: (ino, chunkIndex) => this.#view(ino, chunkIndex),
    };
    this.#timer = setInterval(() => {
      for (const writer of this.#writers.values()) writer.freezeOld();
    }, TICK_MS);
    this.#timer.unref();
  }

  write(ino: Ino, data: Uint8Array, { offset, append }: WriteAt): Maybe<void> {
    const held = this.#writer(ino).write(offset, data, append);
    if (this.#dirty <= this.#dirtyMax) return held;
    this.#freezeAll();
    const room = new Promise<void>((resolve) => this.#waiting.push(resolve));
    return held instanceof Promise ? held.then(() => room) : room;
  }

  read(
    handle: ReadHandle,
    offset: number,
    size: number,
    length: number,
  ): Maybe<readonly Uint8Array[]> {
    const reader = handle as FileReader;
    const writer = this.#writers.get(reader.ino);
    if (writer !== undefined && writer.overlaps(offset, size)) {
      const flushed = writer.flush();
      if (flushed instanceof Promise) return flushed.then(() => reader.read(offset, size, length));
    }
    return reader.read(offset, size, length);
  }

  flush(ino: Ino): Maybe<void> {
    return this.#writers.get(ino)?.flush();
  }

  length(ino: Ino, committed: number): number {
    const writer = this.#writers.get(ino);
    return writer === undefined || writer.idle ? committed : Math.max(committed, writer.end);
  }

  pendingMtime(ino: Ino): Time | undefined {
    return this.#writers.get(ino)?.mtime;
  }

  opened(ino: Ino): void {
    this.#handles.set(ino, (this.#handles.get(ino) ?? 0) + 1);
  }

  closed(ino: Ino): void {
    const left = (this.#handles.get(ino) ?? 1) - 1;
    if (left > 0) {
      this.#handles.set(ino, left);
      return;
    }
    this.#handles.delete(ino);
    const writer = this.#writers.get(ino);
    if (writer === undefined) return;
    if (writer.idle) this.#writers.delete(ino);
    else writer.forgetError();
  }

  openHandle(ino: Ino): ReadHandle {
    return new FileReader(ino, this.#readerParts);
  }

  closeHandle(_handle: ReadHandle): void {
    return undefined;
  }

  invalidate(ino: Ino): void {
    this.#dropViews(ino);
  }

  async seek(
    ino: Ino,
    offset: number,
    what: "data" | "hole",
    length: number,
  ): Promise<number | undefined> {
    for (let at = offset; at < length; at = (Math.floor(at / CHUNK_SIZE) + 1) * CHUNK_SIZE) {
      const index = Math.floor(at / CHUNK_SIZE);
      const start = index * CHUNK_SIZE;
      const pieces = await this.#view(ino, index);
      const found = seekIn(pieces, at - start, what);
      const end = Math.min(length - start, CHUNK_SIZE);
      if (found !== undefined && found < end) return start + found;
    }
    return what === "hole" && offset < length ? length : undefined;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    const writers = [...this.#writers.values()];
    const failures = await Promise.allSettled(writers.map(async (writer) => writer.flush()));
    await this.#store.close();
    const failed = failures.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason as Error;
  }

  #writer(ino: Ino): FileWriter {
    const known = this.#writers.get(ino);
    if (known !== undefined) return known;
    const writer = new FileWriter(ino, this.#writerParts);
    this.#writers.set(ino, writer);
    return writer;
  }

  #view(ino: Ino, chunkIndex: number): Maybe<readonly Piece[]> {
    const key = `${ino}_${chunkIndex}`;
    return this.#views.get(key) ?? this.#viewLoads.get(key) ?? this.#loadView(ino, chunkIndex, key);
  }

  #loadView(ino: Ino, chunkIndex: number, key: string): Promise<readonly Piece[]> {
    const loading = this.#meta.readChunk(ino, chunkIndex).then((records) => {
      const pieces = mergeSlices(records);
      if (this.#viewLoads.get(key) === loading) {
        this.#viewLoads.delete(key);
        this.#views.set(key, pieces);
        const keys = this.#viewKeys.get(ino) ?? new Set();
        this.#viewKeys.set(ino, keys.add(chunkIndex));
      }
      return pieces;
    });
    this.#viewLoads.set(key, loading);
    loading.catch(() => {
      if (this.#viewLoads.get(key) === loading) this.#viewLoads.delete(key);
    });
    return loading;
  }

  /** What is being loaded now may be older than the change: its askers get it, nobody keeps it. */
  #dropViews(ino: Ino): void {
    for (const chunkIndex of this.#viewKeys.get(ino) ?? [])
      this.#views.delete(`${ino}_${chunkIndex}`);
    this.#viewKeys.delete(ino);
    for (const key of this.#viewLoads.keys()) {
      if (key.startsWith(`${ino}_`)) this.#viewLoads.delete(key);
    }
  }

  #account(bytes: number): void {
    this.#dirty += bytes;
    while (this.#dirty <= this.#dirtyMax && this.#waiting.length > 0) this.#waiting.shift()?.();
  }

  /** Memory is short: what could still grow is uploaded now. */
  #freezeAll(): void {
    for (const writer of this.#writers.values()) {
      const flushed = writer.flush();
      if (flushed instanceof Promise) flushed.catch(() => undefined);
    }
  }
}

/** Where in a chunk's view data or a hole begins, from `at` on. */
function seekIn(pieces: readonly Piece[], at: number, what: "data" | "hole"): number | undefined {
  let reached = 0;
  for (const piece of pieces) {
    reached = piece.pos + piece.len;
    if (reached > at && (piece.id === 0n) === (what === "hole")) return Math.max(at, piece.pos);
  }
  return what === "hole" ? Math.max(at, reached) : undefined;
}
