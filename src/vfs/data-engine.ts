import { fsErrorOf } from "../base/fs-error.ts";
import type { Maybe } from "../base/maybe.ts";
import { BlockCache } from "../chunk/block-cache.ts";
import type { BlockStore } from "../chunk/block-store.ts";
import { SharedMemory } from "../chunk/shared-memory.ts";
import type { Spool } from "../chunk/spool.ts";
import { CHUNK_SIZE } from "../meta/limits.ts";
import type { Piece } from "../meta/merge.ts";
import type { Meta } from "../meta/meta.ts";
import type { Attr, CommitOutcome, Ino, Slice, Time } from "../meta/types.ts";
import { ChunkViews } from "./chunk-views.ts";
import { Committer } from "./committer.ts";
import { Compactor, type Compacted } from "./compactor.ts";
import { DirtyJournal, type Journaled, type LooseSlice } from "./dirty-journal.ts";
import type { FileData, ReadHandle, WriteAt } from "./file-data.ts";
import { FileReader, type ReaderParts } from "./file-reader.ts";
import { LooseSlices } from "./loose-slices.ts";
import { FileWriter, type WriterParts } from "./file-writer.ts";
import type { PendingSlice } from "./pending-slice.ts";
import { restoreSlices } from "./restore.ts";
import { SliceUploads } from "./slice-uploads.ts";

const TICK_MS = 100;
const PAGE = 4096;
/** Memory for writing is kept so long while nobody writes. */
const IDLE_TICKS = 50;
/** What travels together is at most a block; less where a part of a block cannot be read alone. */
const PACK_BYTES_WHOLE = 256 << 10;

export interface DataOptions {
  /** Bytes of file data in memory, written and read. */
  readonly bufferBytes: number;
  readonly readaheadMax: number;
  /** Nothing is written, and nothing tidied up. */
  readonly readOnly: boolean;
  /** A folder in memory, for what a process that takes over must find. */
  readonly folder: string;
}

export type EngineMeta = Pick<
  Meta,
  "readChunk" | "nextChunk" | "newSliceId" | "commitSlices" | "compactChunks" | "abandonSlice"
>;

export interface DataListener {
  /** A record was committed: the attributes now, and whether it landed elsewhere than was guessed. */
  committed(ino: Ino, attr: Attr, moved: boolean): void;
}

/**
 * The contents of files: pending writes, views of chunks, blocks in memory. Half of the memory is for what was written and
 * is not stored yet; a writer that is quicker gets its answer when there is room again.
 */
export class DataEngine implements FileData {
  readonly #store: BlockStore;
  readonly #spool: Spool;
  readonly #journal: DirtyJournal;
  readonly #loose: LooseSlices;
  readonly #uploads: SliceUploads;
  readonly #listener: DataListener;
  readonly #commit: Meta["commitSlices"];
  readonly #readChunk: Meta["readChunk"];
  readonly #nextChunk: Meta["nextChunk"];
  readonly #abandon: Meta["abandonSlice"];
  readonly #writers = new Map<Ino, FileWriter>();
  readonly #handles = new Map<Ino, number>();
  readonly #views: ChunkViews;
  readonly #compactor: Compactor;
  readonly #writerParts: WriterParts;
  readonly #readerParts: ReaderParts;
  readonly #dirtyMax: number;
  readonly #timer: NodeJS.Timeout;
  #waiting: (() => void)[] = [];
  #lastNumber = 0;
  #idleTicks = 0;
  /** Requests of a process before whose bytes are here already. */
  #appended: ReadonlySet<bigint> = new Set();

  constructor(
    meta: EngineMeta,
    { store, spool }: { store: BlockStore; spool: Spool },
    { options, listener }: { options: DataOptions; listener: DataListener },
  ) {
    const half = options.bufferBytes / 2;
    this.#store = store;
    this.#spool = spool;
    this.#listener = listener;
    this.#dirtyMax = half;
    this.#readChunk = (ino, chunkIndex) => meta.readChunk(ino, chunkIndex);
    this.#nextChunk = (ino, from, end) => meta.nextChunk(ino, from, end);
    this.#abandon = (id, size) => meta.abandonSlice(id, size);
    this.#commit = (commits) => meta.commitSlices(commits);
    this.#journal = new DirtyJournal(options.folder);
    this.#loose = new LooseSlices(store, meta, this.#journal);
    const memory = new SharedMemory(half / 4);
    const cache = new BlockCache(store, memory, { capacityBytes: half / 2 });
    this.#views = new ChunkViews(this.#readChunk, (ino, chunkIndex, { records, pieces }) => {
      if (options.readOnly) return;
      this.#compactor.sawRead(ino, chunkIndex, { records, pieces: pieces.length });
    });
    this.#compactor = new Compactor({
      ...{ meta, store, cache, memory, loose: this.#loose },
      compacted: (ino, chunkIndex) => {
        this.#views.dropChunk(ino, chunkIndex);
      },
    });
    const committer = new Committer({
      journal: this.#journal,
      send: this.#commit,
      oldest: ({ ino }) => this.#writer(ino).oldestSequence,
      settled: (slice, outcome) => {
        this.#settled(slice, outcome);
      },
      unused: (place) => {
        this.#loose.discard(place);
      },
    });
    this.#uploads = new SliceUploads({
      ...{ store, journal: this.#journal, loose: this.#loose, newSliceId: () => meta.newSliceId() },
      packBytes: Math.min(store.blockSize, store.rangeReads ? Infinity : PACK_BYTES_WHOLE),
      stored: (group) => {
        committer.add(group);
      },
    });
    this.#writerParts = {
      ...{ blockSize: store.blockSize, spool, journal: this.#journal, uploads: this.#uploads },
      nextNumber: () => ++this.#lastNumber,
    };
    this.#readerParts = {
      ...{ store, cache },
      readaheadMax: Math.min(options.readaheadMax, half / 2),
      views: this.#views,
      pending: (ino) => this.#writers.get(ino)?.pending ?? [],
    };
    this.#timer = setInterval(() => {
      this.#tick();
    }, TICK_MS);
    this.#timer.unref();
  }

  write(ino: Ino, data: Uint8Array, { offset, append, unique }: WriteAt): Maybe<void> {
    if (append && this.#appended.has(unique)) {
      this.#answered(unique);
      return undefined;
    }
    const held = this.#writer(ino).write(offset, data, append ? unique : undefined);
    if (this.#spool.used <= this.#dirtyMax) {
      if (append) this.#answered(unique);
      return held;
    }
    for (const writer of this.#writers.values()) writer.freezeAll();
    const room = new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.#answerLater(Promise.all([held, room]), append ? unique : undefined);
  }

  async #answerLater(ready: Promise<unknown>, unique: bigint | undefined): Promise<void> {
    await ready;
    if (unique !== undefined) this.#answered(unique);
  }

  /** The answer leaves in this turn of the event loop; until then the request may be seen again. */
  #answered(unique: bigint): void {
    setImmediate(() => {
      this.#journal.answered(unique);
    });
  }

  read(
    handle: ReadHandle,
    offset: number,
    size: number,
    length: number,
  ): Maybe<readonly Uint8Array[]> {
    return (handle as FileReader).read(offset, size, length);
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
    writer.forgetError();
    if (writer.idle) this.#writers.delete(ino);
  }

  openHandle(ino: Ino): ReadHandle {
    return new FileReader(ino, this.#readerParts);
  }

  closeHandle(_handle: ReadHandle): void {
    return undefined;
  }

  invalidate(ino: Ino): void {
    this.#views.drop(ino);
  }

  expectSlices(): (ino: Ino, slices: readonly Slice[]) => void {
    const mark = this.#views.mark();
    return (ino, slices) => {
      this.#views.offer(ino, 0, slices, mark);
    };
  }

  /** Makes few slices of a chunk's many; what is not committed yet stays as it is. */
  compact(ino: Ino, chunkIndex: number): Promise<Compacted> {
    return this.#compactor.compact(ino, chunkIndex);
  }

  async seek(
    ino: Ino,
    offset: number,
    what: "data" | "hole",
    length: number,
  ): Promise<number | undefined> {
    const chunks = Math.ceil(length / CHUNK_SIZE);
    let next: number | undefined = Math.floor(offset / CHUNK_SIZE);
    while (next !== undefined && next < chunks) {
      const start = next * CHUNK_SIZE;
      const pieces = await this.#views.get(ino, next);
      const found = seekIn(pieces, Math.max(offset - start, 0), what);
      const end = Math.min(length - start, CHUNK_SIZE);
      if (found !== undefined && found < end) return start + found;
      next = what === "hole" ? next + 1 : await this.#nextChunk(ino, next + 1, chunks);
    }
    return what === "hole" && offset < length ? length : undefined;
  }

  /**
   * Takes over what a process before had written and not committed; to be called once, before anything is written, and when it
   * is known what is open.
   */
  async restore(journaled: Journaled): Promise<void> {
    this.#appended = journaled.appends;
    for (const [ino, errno] of journaled.failed) {
      if (this.#handles.has(ino)) this.#writer(ino).fail(fsErrorOf(errno, "write"));
    }
    await restoreSlices(journaled, {
      ...{ spool: this.#spool, journal: this.#journal, uploads: this.#uploads },
      commit: this.#commit,
      settled: (slice, outcome) => {
        this.#settled(slice, outcome);
      },
      unused: (place) => {
        this.#loose.discard(place);
      },
      writer: (ino) => this.#writer(ino),
      nextNumber: this.#writerParts.nextNumber,
    });
    for (const loose of journaled.loose) await this.#fix(loose);
  }

  /** What a process before was storing or deleting is deleted, unless a record came to refer to it. */
  async #fix({ id, size, chunk }: LooseSlice): Promise<void> {
    if (chunk !== undefined) {
      const records = await this.#readChunk(chunk.ino, chunk.chunkIndex);
      // Where it is counted others refer to it too: a copy of the chunk may be all that is left.
      const used = records.some((record) => record.id === id);
      if (used || !(await this.#abandon(id, size))) {
        this.#loose.fixed(id);
        return;
      }
    }
    this.#loose.discard({ id, size });
  }

  async drain(): Promise<void> {
    clearInterval(this.#timer);
    const failures = await this.#flushAll();
    await this.#compactor.close();
    await this.#loose.idle();
    await this.#store.uploadStaged();
    const failed = failures.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason as Error;
  }

  async close(): Promise<void> {
    await this.#store.close();
    this.#journal.close();
    this.#spool.close();
  }

  async flushAll(): Promise<void> {
    const failed = (await this.#flushAll()).find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason as Error;
  }

  async #flushAll(): Promise<PromiseSettledResult<void>[]> {
    const writers = [...this.#writers.values()];
    return Promise.allSettled(writers.map(async (writer) => writer.flush()));
  }

  #writer(ino: Ino): FileWriter {
    const known = this.#writers.get(ino);
    if (known !== undefined) return known;
    const writer = new FileWriter(ino, this.#writerParts);
    this.#writers.set(ino, writer);
    return writer;
  }

  #settled(slice: PendingSlice, outcome: CommitOutcome): void {
    const { ino, start } = slice;
    const writer = this.#writer(ino);
    if ("error" in outcome) {
      writer.settled(slice, outcome.error);
    } else {
      const moved = outcome.offset !== start;
      this.#pushed(slice, outcome);
      writer.settled(slice, undefined);
      this.#tidy(slice, outcome);
      this.#listener.committed(ino, outcome.attr, moved);
    }
    if (writer.idle && !this.#handles.has(ino)) {
      writer.forgetError();
      this.#writers.delete(ino);
    }
    if (this.#spool.used <= this.#dirtyMax) this.#letIn();
  }

  /** A record came into its chunk; an append that lies over a border into two. */
  #pushed(slice: PendingSlice, { offset, chunkRecords }: Committed): void {
    const { ino, identity, length } = slice;
    const pos = offset % CHUNK_SIZE;
    if (identity === undefined || pos + length > CHUNK_SIZE) {
      this.#views.drop(ino);
    } else {
      const record = { ...slice.record(identity), pos };
      this.#views.committed(ino, Math.floor(offset / CHUNK_SIZE), record, chunkRecords);
    }
  }

  /** Many records of a chunk become one; where they are far too many, who writes to the file waits for that. */
  #tidy({ ino, chunkIndex, start }: PendingSlice, outcome: Committed): void {
    const index = outcome.offset === start ? chunkIndex : Math.floor(outcome.offset / CHUNK_SIZE);
    const tidied = this.#compactor.sawWrite(ino, index, outcome.chunkRecords);
    if (tidied !== undefined) this.#writer(ino).holdUntil(tidied);
  }

  /** There is room again for those who write. */
  #letIn(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #tick(): void {
    for (const writer of this.#writers.values()) writer.freezeOld();
    this.#uploads.tick();
    this.#idleTicks = this.#spool.used === 0 ? this.#idleTicks + 1 : 0;
    if (this.#idleTicks > IDLE_TICKS) this.#spool.shrink();
  }
}

type Committed = Exclude<CommitOutcome, { readonly error: Error }>;

/**
 * Where in a chunk's view data or a hole begins, from `at` on. Holes are whole pages, as on a disk: programs look for the
 * size of what can be one, and count on it.
 */
function seekIn(pieces: readonly Piece[], at: number, what: "data" | "hole"): number | undefined {
  let reached = at;
  for (const { id, pos, len } of pieces) {
    const [from, to] = [Math.floor(pos / PAGE) * PAGE, Math.ceil((pos + len) / PAGE) * PAGE];
    if (id === 0n || to <= reached) continue;
    if (what === "data") return Math.max(at, from);
    if (from > reached) return reached;
    reached = to;
  }
  return what === "hole" ? reached : undefined;
}
