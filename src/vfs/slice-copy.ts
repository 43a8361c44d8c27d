import pLimit, { type LimitFunction } from "p-limit";
import type { BlockCache } from "../chunk/block-cache.ts";
import type { BlockStore } from "../chunk/block-store.ts";
import { blockLength } from "../chunk/block.ts";
import type { SharedMemory } from "../chunk/shared-memory.ts";
import type { Piece } from "../meta/merge.ts";

/** Writes a new slice from pieces of others; holes become zeros. Holds few blocks at a time, whatever the slice's size. */

export interface CopyParts {
  readonly store: BlockStore;
  readonly cache: BlockCache;
  readonly memory: SharedMemory;
}

/** A part of a block of some slice, and where in the new slice it goes. */
interface Part {
  readonly block: { readonly id: bigint; readonly sliceSize: number; readonly index: number };
  readonly offset: number;
  readonly length: number;
  readonly to: number;
}

const BLOCKS_AT_ONCE = 2;
const READS_AT_ONCE = 16;
/** A block of which more than this part is wanted is read whole. */
const WHOLE_PART = 0.5;

/**
 * @param pieces in order, without gaps; together `size` bytes
 * @throws ObjectMissing when a slice is gone meanwhile
 */
export async function copySlice(
  parts: CopyParts,
  { id, size }: { readonly id: bigint; readonly size: number },
  pieces: readonly Piece[],
): Promise<void> {
  const { store } = parts;
  const wanted = partsOf(pieces, store.blockSize);
  const whole = readWhole(wanted, store);
  const reads = pLimit(READS_AT_ONCE);
  const blocks = pLimit(BLOCKS_AT_ONCE);
  const starts = Array.from(
    { length: Math.ceil(size / store.blockSize) },
    (_, index) => index * store.blockSize,
  );
  // The first failure ends it, when nothing is under way any more.
  let failed = false;
  const copies = starts.map((start, index) =>
    blocks(async () => {
      if (failed) return;
      try {
        const length = blockLength(size, index, store.blockSize);
        const inside = wanted.filter((part) => part.to < start + length && end(part) > start);
        await new BlockCopy(parts, { whole, reads }).copy({ id, index }, length, {
          start,
          parts: inside,
        });
      } catch (error) {
        failed = true;
        throw error;
      }
    }),
  );
  const failure = (await Promise.allSettled(copies)).find(({ status }) => status === "rejected");
  if (failure?.status === "rejected") throw failure.reason;
}

class BlockCopy {
  readonly #parts: CopyParts;
  readonly #whole: ReadonlySet<string>;
  readonly #reads: LimitFunction;

  constructor(
    parts: CopyParts,
    { whole, reads }: { whole: ReadonlySet<string>; reads: LimitFunction },
  ) {
    this.#parts = parts;
    this.#whole = whole;
    this.#reads = reads;
  }

  async copy(
    target: { id: bigint; index: number },
    length: number,
    { start, parts }: { start: number; parts: readonly Part[] },
  ): Promise<void> {
    const buffer = this.#parts.memory.take(length);
    const into = buffer.subarray(0, length).fill(0);
    try {
      const fills = parts.map((part) => this.#reads(() => this.#fill(part, start, into)));
      const done = await Promise.allSettled(fills);
      const failure = done.find(({ status }) => status === "rejected");
      if (failure?.status === "rejected") throw failure.reason;
      // What is in the store already must not come to lie on one machine only.
      await this.#parts.store.upload(target.id, target.index, into);
    } finally {
      this.#parts.memory.give(buffer);
    }
  }

  /** Puts what of a part lies in the block at `start` where it belongs. */
  async #fill(part: Part, start: number, into: Uint8Array): Promise<void> {
    const { store, cache } = this.#parts;
    const from = Math.max(part.to, start);
    const to = Math.min(end(part), start + into.length);
    const range = { offset: part.offset + from - part.to, length: to - from };
    const target = into.subarray(from - start, to - start);
    if (!cache.has(part.block) && !this.#whole.has(keyOf(part))) {
      await store.getRange(part.block, range, target);
      return;
    }
    const block = await cache.get(part.block);
    try {
      target.set(block.data.subarray(range.offset, range.offset + range.length));
    } finally {
      cache.releaseLater([block]);
    }
  }
}

function partsOf(pieces: readonly Piece[], blockSize: number): Part[] {
  const parts: Part[] = [];
  let to = 0;
  for (const { id, size, off, len } of pieces) {
    for (let at = id === 0n ? len : 0; at < len;) {
      const index = Math.floor((off + at) / blockSize);
      const offset = off + at - index * blockSize;
      const length = Math.min(blockSize - offset, len - at);
      parts.push({ block: { id, sliceSize: size, index }, offset, length, to: to + at });
      at += length;
    }
    to += len;
  }
  return parts;
}

/** Blocks that are cheaper to read whole. */
function readWhole(parts: readonly Part[], store: BlockStore): Set<string> {
  const bytes = new Map<string, number>();
  const whole = new Set<string>();
  for (const part of parts) {
    const { sliceSize, index } = part.block;
    const key = keyOf(part);
    const sum = (bytes.get(key) ?? 0) + part.length;
    bytes.set(key, sum);
    const length = blockLength(sliceSize, index, store.blockSize);
    if (!store.rangeReads || sum >= length * WHOLE_PART) whole.add(key);
  }
  return whole;
}

function keyOf({ block }: Part): string {
  return `${block.id}_${block.index}`;
}

function end({ to, length }: Part): number {
  return to + length;
}
