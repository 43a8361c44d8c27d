import { BoundedWork } from "../base/bounded-work.ts";
import { log } from "../base/log.ts";
import type { BlockId, BlockStore } from "../chunk/block-store.ts";
import { TYPE_DIRECTORY, TYPE_FILE } from "../meta/limits.ts";
import type { Meta } from "../meta/meta.ts";
import type { Attr, Ino } from "../meta/types.ts";
import { blockParts, type BlockPart } from "./file-blocks.ts";
import { silent, type Counter, type JobOptions } from "./progress.ts";
import { walk } from "./walk.ts";

/** Blocks of files on disks of this machine: brought there, removed, counted. */

export type WarmupAction = "warm" | "evict" | "check";

export interface WarmupSum {
  files: number;
  /** That the files are made of; one that several files share counts for each. */
  blocks: number;
  bytes: number;
  /** Of them on disks of this machine when they were looked at; with `warm` and `evict`: now. */
  cachedBlocks: number;
  cachedBytes: number;
  /** Blocks that could not be read, or not be kept. */
  failed: number;
}

export interface WarmupRequest extends JobOptions {
  readonly action: WarmupAction;
  /** Blocks at once. */
  readonly threads: number;
}

/** Blocks that are on their way take no more memory than this, together. */
const BYTES_AT_ONCE = 64 << 20;

interface WarmupParts {
  readonly meta: Meta;
  readonly store: BlockStore;
}

/**
 * @param inos files, or directories for all files below them
 * @throws Error in one sentence: the mount keeps nothing on disk
 */
export async function warmUp(
  { meta, store }: WarmupParts,
  inos: readonly Ino[],
  { action, threads, progress = silent, signal }: WarmupRequest,
): Promise<WarmupSum> {
  const work = new Warmup(store, { action, threads, counter: progress.count("blocks"), signal });
  const file = async (ino: Ino, { length }: Attr): Promise<void> => {
    work.sum.files++;
    let last: BlockId | undefined;
    for await (const part of blockParts(meta, ino, length)) {
      signal?.throwIfAborted();
      if (last?.id !== part.id || last.index !== part.index) await work.take(part);
      last = part;
    }
  };
  for (const ino of inos) {
    const attr = await meta.getattr(ino);
    if (attr.type === TYPE_FILE) await file(ino, attr);
    if (attr.type !== TYPE_DIRECTORY) continue;
    for await (const { entries } of walk(meta, ino, { signal })) {
      for (const { ino: child, attr: known } of entries) {
        if (known?.type === TYPE_FILE) await file(child, known);
      }
    }
  }
  return work.end();
}

class Warmup {
  readonly sum: WarmupSum = {
    ...{ files: 0, blocks: 0, bytes: 0, cachedBlocks: 0, cachedBytes: 0, failed: 0 },
  };
  readonly #store: BlockStore;
  readonly #action: WarmupAction;
  readonly #work: BoundedWork;
  readonly #counter: Counter;
  readonly #signal: AbortSignal | undefined;
  /** Files that share a block come one after the other. */
  readonly #underWay = new Map<string, Promise<boolean>>();

  constructor(
    store: BlockStore,
    {
      action,
      threads,
      counter,
      signal,
    }: {
      action: WarmupAction;
      threads: number;
      counter: Counter;
      signal: AbortSignal | undefined;
    },
  ) {
    this.#store = store;
    this.#action = action;
    const most = Math.max(1, Math.floor(BYTES_AT_ONCE / store.blockSize));
    this.#work = new BoundedWork(Math.min(threads, most));
    this.#counter = counter;
    this.#signal = signal;
  }

  /** Settles when the block is begun. */
  take(block: BlockPart): Promise<void> {
    return this.#work.start(async () => {
      if (this.#signal?.aborted === true) return;
      const { blockLength: bytes } = block;
      const here = await this.#shared(block);
      this.sum.blocks++;
      this.sum.bytes += bytes;
      if (here) {
        this.sum.cachedBlocks++;
        this.sum.cachedBytes += bytes;
      }
      this.#counter.add(1, bytes);
    });
  }

  async end(): Promise<WarmupSum> {
    await this.#work.idle();
    this.#signal?.throwIfAborted();
    this.#counter.end();
    return this.sum;
  }

  #shared(block: BlockId): Promise<boolean> {
    const key = `${block.id}_${block.index}`;
    const known = this.#underWay.get(key);
    if (known !== undefined) return known;
    const done = this.#handle(block).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, done);
    return done;
  }

  /** @returns whether it lies here now */
  async #handle(block: BlockId): Promise<boolean> {
    if (this.#action === "evict") await this.#store.evict(block);
    const here = await this.#store.isHere(block);
    if (here === undefined) throw new Error("The mount keeps no blocks on disks: see --cache-dir");
    if (here || this.#action !== "warm") return here;
    try {
      if (await this.#store.bringHere(block)) return true;
    } catch (error) {
      log.warn({ error }, "a block cannot be brought here");
    }
    this.sum.failed++;
    return false;
  }
}
