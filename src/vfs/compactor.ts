import { LRUCache } from "lru-cache";
import { log } from "../base/log.ts";
import { ObjectMissing } from "../chunk/block-store.ts";
import { planCompaction, type CompactionPlan } from "../meta/compaction.ts";
import type { Meta } from "../meta/meta.ts";
import type { Ino, Slice } from "../meta/types.ts";
import type { LooseSlices } from "./loose-slices.ts";
import { copySlice, type CopyParts } from "./slice-copy.ts";

/**
 * Makes one slice of the many that a chunk's records refer to, while it is read and written (JuiceFS pkg/meta/base.go
 * `compactChunk`, 1.4). A new slice is stored first and then put in the place of the records it was made of, if these are
 * still the same; what was pushed meanwhile stays behind it.
 */

export interface CompactorParts extends CopyParts {
  readonly meta: Pick<Meta, "readChunk" | "newSliceId" | "compactChunks">;
  readonly loose: LooseSlices;
  /** The records of a chunk were replaced: what is known of them is stale. */
  readonly compacted: (ino: Ino, chunkIndex: number) => void;
}

/** What a compaction came to. */
export interface Compacted {
  /** Records that were replaced by one. */
  readonly records: number;
  /** Bytes of the new slices. */
  readonly bytes: number;
}

/** From so many records or pieces on a chunk that is read is looked at. */
const READ_MIN = 5;
/** A chunk that is written is looked at with every hundredth record, and with each one from here on. */
const WRITE_EACH = 350;
/** From so many records on the writer waits. */
const WRITE_WAITS = 2500;
const BACKGROUND_MAX = 4;
/** A chunk that is being written is left alone until nobody writes to it for a while; not for ever. */
const QUIET_MS = 1000;
const QUIET_MAX_MS = 10_000;
const QUEUE_MAX = 10_000;
/** Another client may be quicker; then it is tried once more. */
const TRIES = 3;

interface Queued {
  readonly ino: Ino;
  readonly chunkIndex: number;
  readonly records: number;
  readonly since: number;
  readonly due: number;
}

export class Compactor {
  readonly #parts: CompactorParts;
  readonly #running = new Map<string, Promise<Compacted>>();
  /** Chunks with so many records where nothing was to be gained. */
  readonly #settled = new LRUCache<string, number>({ max: 10_000 });
  readonly #queue = new Map<string, Queued>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(parts: CompactorParts) {
    this.#parts = parts;
  }

  /** A chunk was read: of `records` records and `pieces` visible pieces. */
  sawRead(
    ino: Ino,
    chunkIndex: number,
    { records, pieces }: { records: number; pieces: number },
  ): void {
    if (records < READ_MIN && pieces < READ_MIN) return;
    this.#enqueue({ ino, chunkIndex, records, quietMs: 0 });
  }

  /** A record was pushed; the chunk has so many now. @returns what the writer is to wait for */
  sawWrite(ino: Ino, chunkIndex: number, records: number): Promise<void> | undefined {
    if (records % 100 !== 99 && records <= WRITE_EACH) return undefined;
    if (records < WRITE_WAITS) {
      this.#enqueue({ ino, chunkIndex, records, quietMs: QUIET_MS });
      return undefined;
    }
    const done = this.compact(ino, chunkIndex).catch((error: unknown) => {
      tellFailure(ino, chunkIndex, error);
    });
    return done.then(() => undefined);
  }

  /**
   * Compacts the records that a chunk has now; joins a compaction of it that is under way.
   *
   * @throws Error when blocks cannot be read or stored; the chunk is as it was then
   */
  compact(ino: Ino, chunkIndex: number): Promise<Compacted> {
    const key = `${ino}_${chunkIndex}`;
    const known = this.#running.get(key);
    if (known !== undefined) return known;
    const running = this.#compact(ino, chunkIndex).finally(() => this.#running.delete(key));
    this.#running.set(key, running);
    return running;
  }

  /** Settles when nothing is under way any more; nothing new is begun. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#queue.clear();
    clearInterval(this.#timer);
    await Promise.allSettled(this.#running.values());
  }

  #enqueue(chunk: { ino: Ino; chunkIndex: number; records: number; quietMs: number }): void {
    const { ino, chunkIndex, records } = chunk;
    const key = `${ino}_${chunkIndex}`;
    if (this.#closed || this.#running.has(key) || this.#settled.get(key) === records) return;
    const known = this.#queue.get(key);
    if (known === undefined && this.#queue.size >= QUEUE_MAX) return;
    const now = Date.now();
    const since = known?.since ?? now;
    const due = Math.min(now + chunk.quietMs, since + QUIET_MAX_MS);
    this.#queue.set(key, { ino, chunkIndex, records, since, due });
    this.#timer ??= setInterval(() => {
      this.#startDue();
    }, QUIET_MS / 4).unref();
  }

  #startDue(): void {
    const now = Date.now();
    for (const [key, { ino, chunkIndex, due }] of this.#queue) {
      if (this.#running.size >= BACKGROUND_MAX) return;
      if (due > now) continue;
      this.#queue.delete(key);
      this.compact(ino, chunkIndex).catch((error: unknown) => {
        tellFailure(ino, chunkIndex, error);
      });
    }
    if (this.#queue.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #compact(ino: Ino, chunkIndex: number): Promise<Compacted> {
    const sum = { records: 0, bytes: 0 };
    for (let wasted = 0; wasted < TRIES && !this.#closed;) {
      const records = await this.#parts.meta.readChunk(ino, chunkIndex);
      const plan = planCompaction(records);
      if (plan === undefined) {
        this.#settled.set(`${ino}_${chunkIndex}`, records.length);
        break;
      }
      if (await this.#replace(ino, chunkIndex, { records, plan })) {
        sum.records += plan.looked - plan.skipped;
        sum.bytes += plan.size;
        // What was written meanwhile waits until it is much again: copying a chunk for every few records never ends.
        if (plan.looked === records.length) break;
      } else {
        wasted++;
      }
    }
    return sum;
  }

  /** @returns false when the records were changed meanwhile */
  async #replace(
    ino: Ino,
    chunkIndex: number,
    { records, plan }: { records: readonly Slice[]; plan: CompactionPlan },
  ): Promise<boolean> {
    const { meta, compacted, loose } = this.#parts;
    const id = await meta.newSliceId();
    const { pos, size, looked, skipped } = plan;
    loose.begin({ id, size, chunk: { ino, chunkIndex } });
    try {
      await copySlice(this.#parts, { id, size }, plan.pieces);
    } catch (error) {
      loose.discard({ id, size });
      if (error instanceof ObjectMissing && (await this.#changed(ino, chunkIndex, records))) {
        return false;
      }
      throw error;
    }
    const slice: Slice = { pos, id, size, off: 0, len: size };
    const read = records.slice(0, looked);
    const [done] = await meta.compactChunks([{ ino, chunkIndex, read, kept: skipped, slice }]);
    if (done === true) {
      compacted(ino, chunkIndex);
      loose.fixed(id);
    } else {
      loose.discard({ id, size });
    }
    return done === true;
  }

  async #changed(ino: Ino, chunkIndex: number, records: readonly Slice[]): Promise<boolean> {
    const now = await this.#parts.meta.readChunk(ino, chunkIndex);
    return records.some(({ id, pos, len }, at) => {
      const other = now[at];
      return other?.id !== id || other.pos !== pos || other.len !== len;
    });
  }
}

function tellFailure(ino: Ino, chunkIndex: number, error: unknown): void {
  log.warn({ error, ino: ino.toString(), chunkIndex }, "a chunk could not be compacted");
}
