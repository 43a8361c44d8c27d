import type { Maybe } from "../base/maybe.ts";
import type { BlockStore } from "../chunk/block-store.ts";
import type { DirtyJournal } from "./dirty-journal.ts";
import type { LooseSlices } from "./loose-slices.ts";
import type { PendingSlice } from "./pending-slice.ts";

/**
 * Brings pending slices into the store. A large one goes up block by block while it grows. Small ones of any files that
 * wait at the same time travel together: one object, in which each has its place. Nothing waits while nothing is under way.
 */

/** Slices that are stored together and committed together, or failed together. */
export interface SliceGroup {
  readonly slices: readonly PendingSlice[];
  readonly failure?: Error | undefined;
}

export interface UploadParts {
  readonly store: BlockStore;
  readonly newSliceId: () => Maybe<bigint>;
  readonly journal: DirtyJournal;
  readonly loose: LooseSlices;
  /** Bytes that travel together at most. */
  readonly packBytes: number;
  /** Called for each slice that was finished, once. */
  readonly stored: (group: SliceGroup) => void;
}

/** What is larger than this part of a block travels alone. */
const SMALL_PART = 4;
const PACKS_AT_ONCE = 2;
const PACK_SLICES_MAX = 500;
const GATHER_TURNS_MAX = 32;
/** Few wait so long at most for many, in milliseconds: these may be held up. */
const PATIENCE_MS = 100;
/** What nobody waits for is stored so long after it came, in milliseconds. */
const LINGER_MS = 500;

/** A slice that has blocks of its own. */
interface Large {
  readonly id: Promise<bigint>;
  /** A process before may have stored blocks of it. */
  readonly again: boolean;
  readonly puts: Promise<void>[];
}

export class SliceUploads {
  readonly #parts: UploadParts;
  readonly #large = new Map<PendingSlice, Large>();
  #small: PendingSlice[] = [];
  #smallBytes = 0;
  #oldest = 0;
  #hurry = false;
  #gathering = false;
  #packs = 0;
  /** Slices of the packs under way. */
  #travelling = 0;

  constructor(parts: UploadParts) {
    this.#parts = parts;
  }

  /** Begins to upload blocks of a growing slice that are full. */
  advance(slice: PendingSlice): void {
    const { blockSize } = this.#parts.store;
    while (slice.length >= (slice.blocks + 1) * blockSize) {
      this.#put(slice, slice.blocks, blockSize);
      slice.blocks++;
    }
  }

  /** Uploads what is left of a frozen slice. `alone`: it may not wait for others. */
  finish(slice: PendingSlice, alone: boolean): void {
    const { blockSize } = this.#parts.store;
    if (!alone && slice.blocks === 0 && slice.length * SMALL_PART < blockSize) {
      this.#pack(slice);
      return;
    }
    // One that was taken over from another process has no blocks yet.
    this.advance(slice);
    const done = slice.blocks * blockSize;
    if (slice.length > done) {
      this.#put(slice, slice.blocks, slice.length - done);
      slice.blocks++;
    }
    void this.#settle(slice);
  }

  /** Stores once more what a process before was storing together. */
  async again(slices: readonly PendingSlice[]): Promise<void> {
    const [first] = slices;
    if (first?.identity === undefined)
      throw new Error("Nobody knows where these slices were stored");
    const { id, size } = first.identity;
    try {
      await this.#putPack(slices, { id, size, again: true });
      this.#parts.stored({ slices });
    } catch (error) {
      this.#discard(id, size);
      this.#parts.stored({ slices, failure: asError(error) });
    }
  }

  /** Somebody waits for what is waiting. */
  hurry(): void {
    if (this.#small.length === 0) return;
    this.#hurry = true;
    if (this.#gathering) return;
    this.#gathering = true;
    setImmediate(() => {
      this.#gather(0);
    });
  }

  /** A turn of the event loop takes one request from the kernel: while each brings something, it travels along. */
  #gather(turns: number): void {
    const before = this.#small.length;
    setImmediate(() => {
      if (this.#small.length > before && turns < GATHER_TURNS_MAX) {
        this.#gather(turns + 1);
        return;
      }
      this.#gathering = false;
      this.#sendPacks();
    });
  }

  /** To be called now and then. */
  tick(): void {
    this.#sendPacks();
    if (this.#small.length > 0 && performance.now() - this.#oldest > LINGER_MS) this.hurry();
  }

  #put(slice: PendingSlice, index: number, size: number): void {
    const { store, journal } = this.#parts;
    let large = this.#large.get(slice);
    if (large === undefined) {
      large = { id: this.#newId(slice), again: slice.identity !== undefined, puts: [] };
      this.#large.set(slice, large);
    }
    const places = slice.buffer.places(index * store.blockSize, size);
    const { id: known, again } = large;
    const put = known.then((id) => {
      if (index === 0 && slice.identity === undefined) {
        slice.identity = { id, size: 0, off: 0 };
        journal.identity(slice, slice.identity);
      }
      return store.put(id, index, { places, size }, again);
    });
    put.catch(() => undefined);
    large.puts.push(put);
  }

  async #newId(slice: PendingSlice): Promise<bigint> {
    return slice.identity?.id ?? this.#parts.newSliceId();
  }

  async #settle(slice: PendingSlice): Promise<void> {
    const large = this.#large.get(slice);
    const results = await Promise.allSettled(large?.puts ?? []);
    this.#large.delete(slice);
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) {
      this.#discard(slice.identity?.id, slice.length);
      this.#parts.stored({ slices: [slice], failure: asError(failed.reason) });
      return;
    }
    this.#identify(slice, (await large?.id) ?? 0n, { size: slice.length, off: 0 });
    this.#parts.stored({ slices: [slice] });
  }

  #identify(slice: PendingSlice, id: bigint, place: { size: number; off: number }): void {
    slice.identity = { id, ...place };
    this.#parts.journal.identity(slice, slice.identity);
  }

  #pack(slice: PendingSlice): void {
    if (this.#small.length === 0) this.#oldest = performance.now();
    this.#small.push(slice);
    this.#smallBytes += slice.length;
    if (this.#smallBytes >= this.#parts.packBytes || this.#small.length >= PACK_SLICES_MAX) {
      this.#sendPacks();
    }
  }

  #sendPacks(): void {
    const { packBytes } = this.#parts;
    while (this.#packs < PACKS_AT_ONCE && this.#small.length > 0) {
      const full = this.#smallBytes >= packBytes || this.#small.length >= PACK_SLICES_MAX;
      if (!full && !(this.#hurry && this.#isWorthPack())) return;
      void this.#sendPack(this.#takePack());
    }
    if (this.#small.length === 0) this.#hurry = false;
  }

  /** What comes until many have arrived can travel with the few that wait: fewer objects, and less work for the store. */
  #isWorthPack(): boolean {
    if (this.#small.length >= this.#travelling) return true;
    return performance.now() - this.#oldest > PATIENCE_MS;
  }

  /** The oldest that wait, as many as fit. */
  #takePack(): PendingSlice[] {
    let count = 0;
    let bytes = 0;
    for (const { length } of this.#small) {
      if (count > 0 && (bytes + length > this.#parts.packBytes || count === PACK_SLICES_MAX)) break;
      bytes += length;
      count++;
    }
    this.#smallBytes -= bytes;
    const taken = this.#small.slice(0, count);
    this.#small = this.#small.slice(count);
    return taken;
  }

  async #sendPack(slices: readonly PendingSlice[]): Promise<void> {
    this.#packs++;
    this.#travelling += slices.length;
    const size = slices.reduce((sum, slice) => sum + slice.length, 0);
    let id: bigint | undefined;
    let failure: Error | undefined;
    try {
      id = await this.#parts.newSliceId();
      await this.#putPack(slices, { id, size, again: false });
    } catch (error) {
      failure = asError(error);
    }
    this.#packs--;
    this.#travelling -= slices.length;
    if (failure !== undefined) this.#discard(id, size);
    this.#parts.stored({ slices, failure });
    this.#sendPacks();
  }

  async #putPack(
    slices: readonly PendingSlice[],
    { id, size, again }: { id: bigint; size: number; again: boolean },
  ): Promise<void> {
    const places: number[] = [];
    let off = 0;
    for (const slice of slices) {
      this.#identify(slice, id, { size, off });
      places.push(...slice.buffer.places(0, slice.length));
      off += slice.length;
    }
    await this.#parts.store.put(id, 0, { places, size }, again);
  }

  /** Nobody will ever refer to these objects. */
  #discard(id: bigint | undefined, size: number): void {
    if (id !== undefined) this.#parts.loose.discard({ id, size });
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
