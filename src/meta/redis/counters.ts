import type { Redis } from "ioredis";
import { FsError } from "../../base/fs-error.ts";
import type { Maybe } from "../../base/maybe.ts";

/** Numbers handed out from batches, as JuiceFS does: one INCRBY for many; what is left at the end is lost. */
const INODES = 1024;
const SLICES = 4096;
/** Scripts count in doubles: a number beyond 2^53 would be taken for another. Replies are read exactly up to a little below. */
const NUMBERS_MAX = 2 ** 53 - 4096;
/** The next batch is fetched when so much of one is left. */
const LOW_PART = 0.1;

export class Counters {
  readonly #inodes: Batch;
  readonly #slices: Batch;

  constructor(client: Redis, ask: Ask) {
    this.#inodes = new Batch(
      () => ask("nextinode", () => client.incrby("nextinode", INODES)),
      INODES,
    );
    this.#slices = new Batch(
      () => ask("nextchunk", () => client.incrby("nextchunk", SLICES)),
      SLICES,
    );
  }

  /** 1 is the root and never handed out: on a new volume the first batch is 1 to 1024. */
  nextInode(): Maybe<bigint> {
    return skipRoot(this.#inodes.next(), () => this.#inodes.next());
  }

  nextSlice(): Maybe<bigint> {
    return this.#slices.next();
  }

  /** The highest numbers that were fetched, whether they were handed out or not. */
  get fetched(): { readonly inode: bigint; readonly slice: bigint } {
    return { inode: this.#inodes.last, slice: this.#slices.last };
  }
}

type Ask = <T>(action: string, work: () => Promise<T>) => Promise<T>;

function skipRoot(ino: Maybe<bigint>, again: () => Maybe<bigint>): Maybe<bigint> {
  if (typeof ino === "bigint") return ino <= 1n ? again() : ino;
  return ino.then((value) => (value <= 1n ? again() : value));
}

class Batch {
  readonly #fetch: () => Promise<number>;
  readonly #size: number;
  #next = 0n;
  #end = 0n;
  #spare: [bigint, bigint] | undefined;
  #last = 0n;
  #fetching: Promise<void> | undefined;

  constructor(fetch: () => Promise<number>, size: number) {
    this.#fetch = fetch;
    this.#size = size;
  }

  get last(): bigint {
    return this.#last;
  }

  next(): Maybe<bigint> {
    if (this.#next >= this.#end && this.#spare !== undefined) {
      [this.#next, this.#end] = this.#spare;
      this.#spare = undefined;
    }
    if (this.#next >= this.#end) return this.#later();
    const left = Number(this.#end - this.#next);
    if (left < this.#size * LOW_PART && this.#spare === undefined) {
      this.#refill().catch(() => undefined);
    }
    return this.#next++;
  }

  async #later(): Promise<bigint> {
    await this.#refill();
    return this.next();
  }

  #refill(): Promise<void> {
    this.#fetching ??= this.#fetchBatch().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetchBatch(): Promise<void> {
    const last = await this.#fetch();
    if (last > NUMBERS_MAX) throw new FsError("ENOSPC", "there are no more numbers");
    this.#last = BigInt(last);
    this.#spare = [BigInt(last - this.#size + 1), BigInt(last + 1)];
  }
}
