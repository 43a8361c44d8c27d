import type { Attr, Ino } from "../meta/types.ts";
import { AttrRecords, sameAttr, type AttrRecord } from "./attr-records.ts";
import type { Freshness, ReadMark } from "./freshness.ts";
import type { NameRecord } from "./name-records.ts";

const ATTRS_MAX = 300_000;

/** Attributes of inodes: what was heard of them, and what the kernel was told. */
export class KnownAttrs {
  readonly #fresh: Freshness;
  readonly #records = new AttrRecords(ATTRS_MAX);

  constructor(fresh: Freshness) {
    this.#fresh = fresh;
  }

  get(ino: Ino): Attr | undefined {
    const record = this.#records.get(ino);
    return record !== undefined && this.#fresh.leftMs(record) > 0 ? record.attr : undefined;
  }

  /** As last heard, however long ago. */
  last(ino: Ino): Attr | undefined {
    return this.#records.get(ino)?.attr;
  }

  /** The name that the inode was last handed out with. */
  via(ino: Ino): NameRecord | undefined {
    return this.#records.get(ino)?.via;
  }

  /** Keeps what an answer brought, unless it was overtaken. @returns true when it is kept */
  learn(ino: Ino, attr: Attr, mark: ReadMark): boolean {
    if (this.#fresh.overtaken(ino, mark)) {
      // Perhaps by a notice of another inode in its shard: what was known before a change of our own is no better.
      this.forget(ino);
      return false;
    }
    const record = this.#records.take(ino);
    if (record === undefined) return false;
    const differs = record.attr === undefined || !sameAttr(record.attr, attr);
    if (differs && record.attr !== undefined && record.mark > mark) {
      // Two answers crossed: nobody knows which of them is newer.
      this.#fresh.contradict(record);
      return false;
    }
    if (differs) record.attr = attr;
    this.#fresh.stamp(record);
    return true;
  }

  forget(ino: Ino): void {
    const record = this.#records.get(ino);
    if (record !== undefined) this.#fresh.contradict(record);
  }

  /**
   * Takes down that the kernel is told what is known, with a name that leads there.
   *
   * @returns how long it may keep it, in milliseconds
   */
  give(ino: Ino, via?: NameRecord): number {
    const record = this.#records.get(ino);
    if (record === undefined) return 0;
    if (via !== undefined) record.via = via;
    const ttl = this.#fresh.leftMs(record);
    if (ttl > 0) record.kernelUntil = Math.max(record.kernelUntil, performance.now() + ttl);
    return ttl;
  }

  /**
   * Somebody changed them.
   *
   * @returns the record, where something of it was kept here or by the kernel
   */
  doubt(ino: Ino): AttrRecord | undefined {
    const record = this.#records.get(ino);
    if (record === undefined) return undefined;
    const kept = this.#fresh.leftMs(record) > 0 || record.kernelUntil > performance.now();
    this.#fresh.contradict(record);
    return kept ? record : undefined;
  }

  /** Those that the kernel may hold. */
  *held(): Generator<AttrRecord> {
    const begun = performance.now();
    for (const record of this.#records.all()) {
      if (record.kernelUntil > begun) yield record;
    }
  }
}
