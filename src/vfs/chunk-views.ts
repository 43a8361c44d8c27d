import { LRUCache } from "lru-cache";
import type { Maybe } from "../base/maybe.ts";
import { addRecord, mergeSlices, type Piece } from "../meta/merge.ts";
import type { Ino, Slice } from "../meta/types.ts";

/**
 * Merged views of chunks, as they are committed. Dropped when the file is known to have changed; a record of our own is put
 * on top where the server's count of records says that nobody else pushed one in between.
 *
 * What is committed leaves the pending slices in the turn in which it comes into a view: who wants to see both looks at the
 * pending slices while he is shown the view, not later.
 */

interface View {
  readonly pieces: readonly Piece[];
  /** How many records it was made of. */
  readonly records: number;
}

interface Load {
  readonly waiting: Waiting[];
  /** Something was changed since it began. */
  stale: boolean;
  /** What the chunk has at least, with the records of ours that were pushed since it began. */
  pushed: number;
}

interface Waiting {
  show(view: View, load: Load): void;
  fail(error: unknown): void;
}

const VIEWS_MAX = 20_000;
/** A view of more pieces is loaded anew rather than copied with each record. */
const PIECES_MAX = 2000;
/** So often a load may be overtaken by changes of others before its result is used all the same. */
const OVERTAKEN_MAX = 10;

export class ChunkViews {
  readonly #read: (ino: Ino, chunkIndex: number) => Promise<Slice[]>;
  readonly #onRead: (ino: Ino, chunkIndex: number, view: View) => void;
  readonly #views = new LRUCache<string, View>({
    max: VIEWS_MAX,
    dispose: (_view, key, reason) => {
      if (reason !== "set") this.#forgetKey(key);
    },
  });
  readonly #loads = new Map<string, Load>();
  readonly #chunks = new Map<Ino, Set<number>>();
  /** Counts changes of any chunk. */
  #changes = 0;

  /** `onRead`: told each view that was read from the server. */
  constructor(
    read: (ino: Ino, chunkIndex: number) => Promise<Slice[]>,
    onRead: (ino: Ino, chunkIndex: number, view: View) => void = () => undefined,
  ) {
    this.#read = read;
    this.#onRead = onRead;
  }

  /** A view; not older than this call. */
  get(ino: Ino, chunkIndex: number): Maybe<readonly Piece[]> {
    return this.look(ino, chunkIndex, (pieces) => pieces);
  }

  /** Shows a view, not older than this call; in the turn in which it comes, so that it has all that is pending no more. */
  look<T>(ino: Ino, chunkIndex: number, see: (pieces: readonly Piece[]) => Maybe<T>): Maybe<T> {
    const known = this.#views.get(keyOf(ino, chunkIndex));
    return known === undefined ? this.#lookLater(ino, chunkIndex, see) : see(known.pieces);
  }

  /** A record of ours was pushed; `records`: how many the chunk has now. */
  committed(ino: Ino, chunkIndex: number, record: Slice, records: number): void {
    this.#changes++;
    const key = keyOf(ino, chunkIndex);
    const load = this.#loads.get(key);
    if (load !== undefined) load.pushed = records;
    const view = this.#views.get(key);
    if (view === undefined) return;
    if (view.records + 1 !== records || view.pieces.length > PIECES_MAX) this.#views.delete(key);
    else this.#views.set(key, { pieces: addRecord(view.pieces, record), records });
  }

  drop(ino: Ino): void {
    this.#changes++;
    for (const chunkIndex of this.#chunks.get(ino) ?? []) {
      this.#views.delete(keyOf(ino, chunkIndex));
    }
    for (const key of this.#loads.keys()) {
      if (key.startsWith(`${ino}_`)) this.#overtake(key);
    }
  }

  dropChunk(ino: Ino, chunkIndex: number): void {
    this.#changes++;
    const key = keyOf(ino, chunkIndex);
    this.#views.delete(key);
    this.#overtake(key);
  }

  /** To be taken before something is asked for that may bring a view along. */
  mark(): number {
    return this.#changes;
  }

  /** Keeps what an answer brought along, unless something changed since `mark`. */
  offer(ino: Ino, chunkIndex: number, records: readonly Slice[], mark: number): void {
    if (mark !== this.#changes || this.#views.has(keyOf(ino, chunkIndex))) return;
    this.#keep(ino, chunkIndex, { pieces: mergeSlices(records), records: records.length });
  }

  #keep(ino: Ino, chunkIndex: number, view: View): void {
    this.#views.set(keyOf(ino, chunkIndex), view);
    const chunks = this.#chunks.get(ino) ?? new Set();
    this.#chunks.set(ino, chunks.add(chunkIndex));
  }

  #lookLater<T>(
    ino: Ino,
    chunkIndex: number,
    see: (pieces: readonly Piece[]) => Maybe<T>,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      let overtaken = 0;
      const wait = (): void => {
        const load = this.#loads.get(keyOf(ino, chunkIndex)) ?? this.#load(ino, chunkIndex);
        load.waiting.push({
          fail: reject,
          show: (view, { stale, pushed }) => {
            if (pushed > view.records || (stale && overtaken++ < OVERTAKEN_MAX)) {
              wait();
              return;
            }
            try {
              resolve(see(view.pieces));
            } catch (error) {
              reject(error);
            }
          },
        });
      };
      wait();
    });
  }

  #load(ino: Ino, chunkIndex: number): Load {
    const key = keyOf(ino, chunkIndex);
    const load: Load = { waiting: [], stale: false, pushed: 0 };
    this.#loads.set(key, load);
    const settle = (tell: (waiting: Waiting) => void): void => {
      if (this.#loads.get(key) === load) this.#loads.delete(key);
      for (const waiting of load.waiting) tell(waiting);
    };
    this.#read(ino, chunkIndex).then(
      (records) => {
        const view = { pieces: mergeSlices(records), records: records.length };
        if (!load.stale && load.pushed <= view.records) {
          this.#keep(ino, chunkIndex, view);
          this.#onRead(ino, chunkIndex, view);
        }
        settle((waiting) => {
          waiting.show(view, load);
        });
      },
      (error: unknown) => {
        settle((waiting) => {
          waiting.fail(error);
        });
      },
    );
    return load;
  }

  /** What is being loaded may be older than what is known by now: who asks from here on has another loaded. */
  #overtake(key: string): void {
    const load = this.#loads.get(key);
    if (load === undefined) return;
    load.stale = true;
    this.#loads.delete(key);
  }

  #forgetKey(key: string): void {
    const [first = "", chunkIndex] = key.split("_");
    const ino = BigInt(first);
    const chunks = this.#chunks.get(ino);
    chunks?.delete(Number(chunkIndex));
    if (chunks?.size === 0) this.#chunks.delete(ino);
  }
}

function keyOf(ino: Ino, chunkIndex: number): string {
  return `${ino}_${chunkIndex}`;
}
