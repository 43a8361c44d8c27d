import type { Maybe } from "../base/maybe.ts";
import type { BlockStore } from "../chunk/block-store.ts";
import type { BufferPool } from "../chunk/buffer-pool.ts";
import { CHUNK_SIZE } from "../meta/limits.ts";
import type { Ino, SliceCommit, Time } from "../meta/types.ts";

/** What pending slices share: where they go, and who counts their memory. */
export interface SliceParts {
  readonly store: BlockStore;
  readonly pool: BufferPool;
  readonly newSliceId: () => Maybe<bigint>;
  /** Bytes of memory taken (positive) or given back. */
  readonly account: (bytes: number) => void;
}

const FIRST_BUFFER_BYTES = 16 << 10;

/**
 * Bytes written to one place of a file that are not committed yet. Grows at its end; a block that is full is uploaded at
 * once and its memory is given back. Frozen: it grows no more, what is left is uploaded.
 */
export class PendingSlice {
  readonly ino: Ino;
  readonly chunkIndex: number;
  /** Bytes from the start of the chunk. */
  readonly pos: number;
  readonly append: boolean;
  readonly started = Date.now();
  touched = this.started;
  mtime: Time;
  length = 0;
  frozen = false;
  /** Settles when everything is uploaded; rejects with the first failure. */
  uploaded: Promise<void> | undefined;
  readonly #parts: SliceParts;
  readonly #id: Maybe<bigint>;
  readonly #buffers = new Map<number, Buffer>();
  readonly #uploads: Promise<void>[] = [];

  constructor(
    parts: SliceParts,
    place: { ino: Ino; chunkIndex: number; pos: number; append: boolean; mtime: Time },
  ) {
    this.ino = place.ino;
    this.chunkIndex = place.chunkIndex;
    this.pos = place.pos;
    this.append = place.append;
    this.mtime = place.mtime;
    this.#parts = parts;
    this.#id = parts.newSliceId();
    if (this.#id instanceof Promise) this.#id.catch(() => undefined);
  }

  /** Where in the file it ends. */
  get end(): number {
    return this.start + this.length;
  }

  get start(): number {
    return this.chunkIndex * CHUNK_SIZE + this.pos;
  }

  /** True when bytes for `offset` of the file can go into it: at its end, or over its last block. */
  takes(offset: number, length: number): boolean {
    const { blockSize } = this.#parts.store;
    const at = offset - this.start;
    const lastBlock = Math.floor(this.length / blockSize) * blockSize;
    return !this.frozen && at >= lastBlock && at <= this.length && at + length <= CHUNK_SIZE;
  }

  /** Copies bytes to `offset` of the file, where `takes` said yes. */
  write(offset: number, data: Uint8Array): void {
    const { blockSize } = this.#parts.store;
    let at = offset - this.start;
    let from = 0;
    while (from < data.length) {
      const index = Math.floor(at / blockSize);
      const inBlock = at - index * blockSize;
      const count = Math.min(blockSize - inBlock, data.length - from);
      this.#room(index, inBlock + count).set(data.subarray(from, from + count), inBlock);
      at += count;
      from += count;
      this.length = Math.max(this.length, at);
      if (inBlock + count === blockSize) this.#upload(index, blockSize);
    }
    this.touched = Date.now();
  }

  /** Ends its growth and uploads what is left. */
  freeze(): void {
    if (this.frozen) return;
    this.frozen = true;
    const { blockSize } = this.#parts.store;
    const last = Math.floor(this.length / blockSize);
    if (this.#buffers.has(last)) this.#upload(last, this.length - last * blockSize);
    this.uploaded = Promise.all(this.#uploads).then(() => undefined);
    this.uploaded.catch(() => undefined);
  }

  async commit(): Promise<SliceCommit> {
    const id = await this.#id;
    const { ino, chunkIndex, mtime, append, pos, length } = this;
    const slice = { pos, id, size: length, off: 0, len: length };
    return { ino, chunkIndex, slice, mtime, append };
  }

  /** Its objects go: they will never be referred to. */
  async discard(): Promise<void> {
    await this.#parts.store.deleteSlice(await this.#id, this.length);
  }

  /** The buffer of a block, with room for `length` bytes. */
  #room(index: number, length: number): Buffer {
    const { pool, account, store } = this.#parts;
    const buffer = this.#buffers.get(index);
    if (buffer !== undefined && buffer.length >= length) return buffer;
    const size =
      index > 0 ? store.blockSize : Math.max(length, FIRST_BUFFER_BYTES, (buffer?.length ?? 0) * 4);
    const larger = pool.take(Math.min(size, store.blockSize));
    account(larger.length);
    if (buffer !== undefined) {
      buffer.copy(larger, 0);
      this.#giveBack(buffer);
    }
    this.#buffers.set(index, larger);
    return larger;
  }

  #upload(index: number, length: number): void {
    const buffer = this.#buffers.get(index);
    if (buffer === undefined) return;
    this.#buffers.delete(index);
    const upload = this.#put(index, buffer.subarray(0, length)).finally(() => {
      this.#giveBack(buffer);
    });
    upload.catch(() => undefined);
    this.#uploads.push(upload);
  }

  async #put(index: number, data: Buffer): Promise<void> {
    const id = typeof this.#id === "bigint" ? this.#id : await this.#id;
    await this.#parts.store.put(id, index, data);
  }

  #giveBack(buffer: Buffer): void {
    this.#parts.account(-buffer.length);
    this.#parts.pool.give(buffer);
  }
}
