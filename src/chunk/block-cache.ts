import { LRUCache } from "lru-cache";
import type { Maybe } from "../base/maybe.ts";
import type { ByteRange } from "../object/storage.ts";
import { blockLength } from "./block.ts";
import type { BlockId, BlockStore } from "./block-store.ts";
import type { SharedMemory } from "./shared-memory.ts";

/** A block in memory, pinned: its bytes stay where they are until it is released. */
export interface PinnedBlock {
  readonly data: Uint8Array;
}

const MISSES_MAX = 10_000;
/** Requests of a stream overtake each other: so many bytes behind its end are still wanted, and so many blocks at least. */
const STILL_WANTED_BYTES = 8 << 20;
const STILL_WANTED_BLOCKS = 4;
/** They take no more than that part of the memory. */
const SPENT_PART = 4;

interface CachedBlock extends PinnedBlock {
  readonly buffer: Uint8Array;
  pins: number;
  evicted: boolean;
}

/**
 * Keeps whole blocks in memory and drops the least recently read first; before them, what a stream has read to its end, so that
 * a large file goes through little memory, which is used again and again. Readers that miss the same block at once share one
 * download.
 */
export class BlockCache {
  readonly #store: BlockStore;
  readonly #memory: SharedMemory;
  readonly #blocks: LRUCache<string, CachedBlock>;
  readonly #loads = new Map<string, Promise<CachedBlock>>();
  readonly #pinned: PinnedBlock[] = [];
  /** Blocks that were read to their end, oldest first. */
  readonly #spent = new Set<string>();
  readonly #spentMax: number;
  /** Blocks of which parts were read while they were not here, and how often. */
  readonly #misses = new LRUCache<string, number>({ max: MISSES_MAX });

  constructor(store: BlockStore, memory: SharedMemory, options: { capacityBytes: number }) {
    this.#store = store;
    this.#memory = memory;
    const { blockSize } = store;
    this.#spentMax = Math.min(
      Math.max(STILL_WANTED_BYTES / blockSize, STILL_WANTED_BLOCKS),
      options.capacityBytes / blockSize / SPENT_PART,
    );
    this.#blocks = new LRUCache({
      maxSize: options.capacityBytes,
      sizeCalculation: (block) => block.buffer.length,
      dispose: (block, key) => {
        block.evicted = true;
        this.#spent.delete(key);
        this.#release(block);
      },
    });
  }

  /** A block, pinned; from memory at once. Each one is to be released (`releaseLater`). */
  get(block: BlockId): Maybe<PinnedBlock> {
    const found = this.#blocks.get(keyOf(block));
    if (found !== undefined) return pin(found);
    return this.#load(block).then(pin);
  }

  /** A small part of a block that the system of this machine has in memory, pinned. */
  readQuickly(block: BlockId, range: ByteRange): PinnedBlock | undefined {
    const buffer = this.#memory.take(range.length);
    const data = buffer.subarray(0, range.length);
    if (this.#store.readQuickly(block, range, data)) return lent(buffer, data);
    this.#memory.give(buffer);
    return undefined;
  }

  /** A part of a block, pinned. @returns undefined where only the whole block can be had */
  async readRange(block: BlockId, range: ByteRange): Promise<PinnedBlock | undefined> {
    const buffer = this.#memory.take(range.length);
    const data = buffer.subarray(0, range.length);
    let had = false;
    try {
      had = await this.#store.getRange(block, range, data);
      return had ? lent(buffer, data) : undefined;
    } finally {
      if (!had) this.#memory.give(buffer);
    }
  }

  /** Releases blocks when what is answered with them now has been written. */
  releaseLater(blocks: readonly PinnedBlock[]): void {
    if (blocks.length === 0) return;
    this.#pinned.push(...blocks);
    if (this.#pinned.length > blocks.length) return;
    setImmediate(() => {
      for (const block of this.#pinned.splice(0) as CachedBlock[]) {
        block.pins--;
        this.#release(block);
      }
    });
  }

  /** A stream has read a block to its end: whoever reads it again finds it in the kernel. */
  spent(block: BlockId): void {
    const key = keyOf(block);
    this.#spent.delete(key);
    if (this.has(block)) this.#spent.add(key);
  }

  /** Notes that a part of a block is wanted that is not here. @returns how often it was before */
  countMiss(block: BlockId): number {
    const key = keyOf(block);
    const before = this.#misses.get(key) ?? 0;
    this.#misses.set(key, before + 1);
    return before;
  }

  has(block: BlockId): boolean {
    const key = keyOf(block);
    return this.#blocks.has(key) || this.#loads.has(key);
  }

  /** Loads a block that will be asked for soon; whoever asks learns of a failure. */
  prefetch(block: BlockId): void {
    if (!this.has(block)) this.#load(block).catch(() => undefined);
  }

  #load(block: BlockId): Promise<CachedBlock> {
    const key = keyOf(block);
    const known = this.#loads.get(key);
    if (known !== undefined) return known;
    const loading = this.#download(block).finally(() => this.#loads.delete(key));
    this.#loads.set(key, loading);
    return loading;
  }

  async #download(block: BlockId): Promise<CachedBlock> {
    const length = blockLength(block.sliceSize, block.index, this.#store.blockSize);
    const buffer = this.#memory.take(length);
    const data = buffer.subarray(0, length);
    try {
      await this.#store.get(block, data);
    } catch (error) {
      this.#memory.give(buffer);
      throw error;
    }
    const loaded: CachedBlock = { buffer, data, pins: 0, evicted: false };
    this.#dropSpent();
    this.#blocks.set(keyOf(block), loaded);
    const kept = this.#store.keep(block, data);
    if (kept !== undefined) {
      loaded.pins++;
      void kept.then(() => {
        loaded.pins--;
        this.#release(loaded);
      });
    }
    return loaded;
  }

  #dropSpent(): void {
    for (const key of this.#spent) {
      if (this.#spent.size <= this.#spentMax) return;
      this.#spent.delete(key);
      this.#blocks.delete(key);
    }
  }

  #release(block: CachedBlock): void {
    if (block.evicted && block.pins === 0) {
      block.pins = -1;
      this.#memory.give(block.buffer);
    }
  }
}

/** Used once: not among the blocks that are kept. */
function lent(buffer: Uint8Array, data: Uint8Array): CachedBlock {
  return { buffer, data, pins: 1, evicted: true };
}

function pin(block: CachedBlock): PinnedBlock {
  block.pins++;
  return block;
}

function keyOf({ id, index }: BlockId): string {
  return `${id}_${index}`;
}
