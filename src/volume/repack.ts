import { trimmedView } from "../meta/compaction.ts";
import type { Piece } from "../meta/merge.ts";
import type { ChunkReplacement, Meta } from "../meta/meta.ts";
import type { Ino } from "../meta/types.ts";
import type { LooseSlices } from "../vfs/loose-slices.ts";
import { copySlice, type CopyParts } from "../vfs/slice-copy.ts";
import { silent, type JobOptions } from "./progress.ts";
import { SliceTable } from "./slice-table.ts";
import { walkChunks, type MetaClient } from "./used-slices.ts";

/**
 * Small files that were written together share a slice, which stays until the last of them is gone. Where less than half of
 * one is used still, what is left of several is written together anew.
 */

export interface RepackParts {
  readonly meta: Meta;
  readonly client: MetaClient;
  readonly copy: CopyParts;
  readonly loose: LooseSlices;
}

export interface Repacked {
  /** Chunks that lie in other slices now. */
  chunks: number;
  /** Bytes written anew. */
  bytes: number;
}

/** A slice is not worth it that wastes less. */
const WASTE_MIN = 64 << 10;
const CHUNKS_MAX = 500;
/** A chunk of more than this part of a block is none that was written together with others. */
const SMALL_PART = 4;
/** Where a part of a block costs the whole one, little is written together. */
const WHOLE_READ_BYTES = 256 << 10;

interface Small {
  readonly ino: Ino;
  readonly chunkIndex: number;
}

interface Part extends Omit<ChunkReplacement, "slice"> {
  readonly pos: number;
  readonly size: number;
  readonly pieces: readonly Piece[];
}

export async function repackSparse(parts: RepackParts, options: JobOptions): Promise<Repacked> {
  const { signal, progress = silent } = options;
  const sparse = await sparseSlices(parts, options);
  const found: Small[] = [];
  await walkChunks(parts.client, { signal }, ({ ino, chunkIndex, owned, slices }) => {
    const worth = slices.some(({ id }) => sparse.get(Number(id)) !== undefined);
    if (owned && worth) found.push({ ino, chunkIndex });
  });
  const counter = progress.count("chunks written together anew", found.length);
  const done: Repacked = { chunks: 0, bytes: 0 };
  const repacker = new Repacker(parts, done);
  for (const small of found) {
    signal?.throwIfAborted();
    await repacker.add(small);
    counter.add();
  }
  await repacker.write();
  counter.end();
  return done;
}

/** Slices of one block of which less than half is referred to. */
async function sparseSlices(
  { client, copy }: RepackParts,
  { signal }: JobOptions,
): Promise<SliceTable> {
  const used = new SliceTable();
  await walkChunks(client, { signal }, ({ slices }) => {
    for (const { id, size, len } of slices) {
      used.add(id, size, "valid");
      used.mark(Number(id), len);
    }
  });
  const sparse = new SliceTable();
  for (const { id, size, marks } of used.entries()) {
    const waste = size - marks;
    if (size > copy.store.blockSize || waste < WASTE_MIN || waste < marks) continue;
    sparse.add(BigInt(id), size, "valid");
  }
  return sparse;
}

class Repacker {
  readonly #parts: RepackParts;
  readonly #done: Repacked;
  readonly #packBytes: number;
  readonly #smallBytes: number;
  #waiting: Part[] = [];
  #bytes = 0;

  constructor(parts: RepackParts, done: Repacked) {
    const { blockSize, rangeReads } = parts.copy.store;
    this.#parts = parts;
    this.#done = done;
    this.#packBytes = rangeReads ? blockSize : Math.min(blockSize, WHOLE_READ_BYTES);
    this.#smallBytes = blockSize / SMALL_PART;
  }

  async add({ ino, chunkIndex }: Small): Promise<void> {
    const read = await this.#parts.meta.readChunk(ino, chunkIndex);
    const { pos, size, pieces } = trimmedView(read);
    if (size === 0 || size > this.#smallBytes) return;
    const full = this.#bytes + size > this.#packBytes || this.#waiting.length === CHUNKS_MAX;
    if (full) await this.write();
    this.#waiting.push({ ino, chunkIndex, read, kept: 0, pos, size, pieces });
    this.#bytes += size;
  }

  /** Stores what waits as one slice, and commits it as that. */
  async write(): Promise<void> {
    const [waiting, size] = [this.#waiting, this.#bytes];
    this.#waiting = [];
    this.#bytes = 0;
    if (waiting.length === 0) return;
    const { meta, copy, loose } = this.#parts;
    const id = await meta.newSliceId();
    const pieces = waiting.flatMap((part) => part.pieces);
    try {
      await copySlice(copy, { id, size }, pieces);
    } catch (error) {
      loose.discard({ id, size });
      throw error;
    }
    let off = 0;
    const replacements = waiting.map(({ pos, size: len, pieces: _pieces, ...replaced }) => {
      const slice = { pos, id, size, off, len };
      off += len;
      return { ...replaced, slice };
    });
    const committed = await meta.compactChunks(replacements);
    const chunks = committed.filter(Boolean).length;
    if (chunks === 0) loose.discard({ id, size });
    this.#done.chunks += chunks;
    this.#done.bytes += size;
  }
}
