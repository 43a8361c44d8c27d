import { LRUCache } from "lru-cache";
import type { Maybe } from "../base/maybe.ts";
import { addRecord, mergeSlices, type Piece } from "../meta/merge.ts";
import type { Ino, Slice } from "../meta/types.ts";

/**
 * Merged views of chunks, as they are committed. Dropped when the file is known to have changed; a record of our own is put
 * on top where the server's count of records says that nobody else pushed one in between.
 */

interface View {
  readonly pieces: readonly Piece[];
  /** How many records it was made of. */
  readonly records: number;
}

interface Load {
  readonly promise: Promise<void>;
  stale: boolean;
}

const VIEWS_MAX = 20_000;
/** A view of more pieces is loaded anew rather than copied with each record. */
const PIECES_MAX = 2000;
/** So often a load may be overtaken by a change before its result is used all the same. */
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

  /** `onRead`: told each view that was read from the server. */
  constructor(
    read: (ino: Ino, chunkIndex: number) => Promise<Slice[]>,
    onRead: (ino: Ino, chunkIndex: number, view: View) => void = () => undefined,
  ) {
    this.#read = read;
    this.#onRead = onRead;
  }

  /** The view if it is in memory. */
  known(ino: Ino, chunkIndex: number): readonly Piece[] | undefined {
    return this.#views.get(keyOf(ino, chunkIndex))?.pieces;
  }

  /** A view; not older than this call. */
  get(ino: Ino, chunkIndex: number): Maybe<readonly Piece[]> {
    return this.known(ino, chunkIndex) ?? this.#get(ino, chunkIndex);
  }

  /** A record of ours was pushed; `records`: how many the chunk has now. */
  committed(ino: Ino, chunkIndex: number, record: Slice, records: number): void {
    const key = keyOf(ino, chunkIndex);
    this.#overtake(key);
    const view = this.#views.get(key);
    if (view === undefined) return;
    if (view.records + 1 !== records || view.pieces.length > PIECES_MAX) this.#views.delete(key);
    else this.#views.set(key, { pieces: addRecord(view.pieces, record), records });
  }

  drop(ino: Ino): void {
    for (const chunkIndex of this.#chunks.get(ino) ?? []) {
      this.#views.delete(keyOf(ino, chunkIndex));
    }
    for (const key of this.#loads.keys()) {
      if (key.startsWith(`${ino}_`)) this.#overtake(key);
    }
  }

  dropChunk(ino: Ino, chunkIndex: number): void {
    const key = keyOf(ino, chunkIndex);
    this.#views.delete(key);
    this.#overtake(key);
  }

  async #get(ino: Ino, chunkIndex: number): Promise<readonly Piece[]> {
    const key = keyOf(ino, chunkIndex);
    for (let overtaken = 0; ; overtaken++) {
      const load = this.#loads.get(key) ?? this.#load(ino, chunkIndex, key);
      await load.promise;
      const view = this.#views.get(key);
      if (view !== undefined) return view.pieces;
      if (overtaken === OVERTAKEN_MAX) return mergeSlices(await this.#read(ino, chunkIndex));
    }
  }

  #load(ino: Ino, chunkIndex: number, key: string): Load {
    const load: Load = {
      stale: false,
      promise: this.#read(ino, chunkIndex)
        .then((records) => {
          if (load.stale) return;
          const view = { pieces: mergeSlices(records), records: records.length };
          this.#views.set(key, view);
          const chunks = this.#chunks.get(ino) ?? new Set();
          this.#chunks.set(ino, chunks.add(chunkIndex));
          this.#onRead(ino, chunkIndex, view);
        })
        .finally(() => {
          if (this.#loads.get(key) === load) this.#loads.delete(key);
        }),
    };
    this.#loads.set(key, load);
    return load;
  }

  /** What is being loaded may be older than what is known by now. */
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
