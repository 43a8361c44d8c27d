import { LRUCache } from "lru-cache";
import type { Ino } from "../meta/types.ts";
import type { Freshness, Heard, ReadMark } from "./freshness.ts";

const BYTES_MAX = 16 << 20;
/** What a record costs besides its names and values. */
const RECORD_BYTES = 200;

/** Names as Latin-1. */
export type Xattrs = ReadonlyMap<string, Buffer>;

interface XattrRecord extends Heard {
  readonly values: Map<string, Buffer>;
}

/** Extended attributes of inodes that were asked for; most inodes have none, which is worth knowing too. */
export class KnownXattrs {
  readonly #fresh: Freshness;
  readonly #records = new LRUCache<Ino, XattrRecord>({
    maxSize: BYTES_MAX,
    sizeCalculation: ({ values }) => bytesOf(values),
  });

  constructor(fresh: Freshness) {
    this.#fresh = fresh;
  }

  get(ino: Ino): Xattrs | undefined {
    const record = this.#records.get(ino);
    return record !== undefined && this.#fresh.leftMs(record) > 0 ? record.values : undefined;
  }

  /** Keeps all that an inode has, unless a notice came in meanwhile. */
  learn(ino: Ino, values: Map<string, Buffer>, mark: ReadMark): void {
    const crossed = (this.#records.get(ino)?.mark ?? 0) > mark;
    if (crossed || this.#fresh.overtaken(ino, mark)) {
      this.#records.delete(ino);
      return;
    }
    const record = { values, mark: 0, at: 0, round: 0 };
    this.#fresh.stamp(record);
    this.#records.set(ino, record);
  }

  /** A change of our own; `value` is undefined where it was removed. */
  change(ino: Ino, name: string, value: Buffer | undefined, mark: ReadMark): void {
    const values = new Map(this.get(ino));
    if (!this.#records.has(ino)) return;
    if (value === undefined) values.delete(name);
    else values.set(name, value);
    if (this.get(ino) === undefined) this.#records.delete(ino);
    else this.learn(ino, values, mark);
  }

  doubt(ino: Ino): boolean {
    return this.#records.delete(ino);
  }
}

function bytesOf(values: Xattrs): number {
  let bytes = RECORD_BYTES;
  for (const [name, value] of values) bytes += RECORD_BYTES + name.length + value.length;
  return bytes;
}
