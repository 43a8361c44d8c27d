import type { Attr, Ino, Time } from "../meta/types.ts";
import type { Heard } from "./freshness.ts";
import type { NameRecord } from "./name-records.ts";

/** Attributes as last heard, and until when the kernel may hold them. */
export interface AttrRecord extends Heard {
  readonly ino: Ino;
  /** Undefined until they are heard. */
  attr: Attr | undefined;
  /** By a clock that never jumps, in milliseconds; 0: the kernel does not hold them. */
  kernelUntil: number;
  /** The name they were last handed out with. */
  via: NameRecord | undefined;
  usedAt: number;
}

/** A record is moved to the end of the line when it was used so long after it was last moved. */
const MOVE_MS = 1000;

/**
 * Attributes of many inodes, least recently used first. What the kernel may hold is never dropped to make room: then there is
 * no room.
 */
export class AttrRecords {
  readonly #max: number;
  readonly #records = new Map<Ino, AttrRecord>();

  constructor(max: number) {
    this.#max = max;
  }

  get(ino: Ino): AttrRecord | undefined {
    const record = this.#records.get(ino);
    if (record !== undefined) this.#use(record);
    return record;
  }

  /** The record to write to; undefined where there is no room. */
  take(ino: Ino): AttrRecord | undefined {
    const known = this.get(ino);
    if (known !== undefined) return known;
    const now = performance.now();
    if (this.#records.size >= this.#max && !this.#makeRoom(now)) return undefined;
    const record: AttrRecord = {
      ...{ ino, attr: undefined, mark: 0, at: 0, round: -1 },
      ...{ kernelUntil: 0, via: undefined, usedAt: now },
    };
    this.#records.set(ino, record);
    return record;
  }

  /** From the least recently used one on; records that come meanwhile are at the end. */
  all(): IterableIterator<AttrRecord> {
    return this.#records.values();
  }

  #use(record: AttrRecord): void {
    const now = performance.now();
    if (now - record.usedAt < MOVE_MS) return;
    record.usedAt = now;
    this.#records.delete(record.ino);
    this.#records.set(record.ino, record);
  }

  #makeRoom(now: number): boolean {
    for (const record of this.#records.values()) {
      if (record.kernelUntil > now) return false;
      this.#records.delete(record.ino);
      return true;
    }
    return false;
  }
}

export function sameAttr(a: Attr, b: Attr): boolean {
  return (
    sameTime(a.ctime, b.ctime) &&
    sameTime(a.mtime, b.mtime) &&
    sameTime(a.atime, b.atime) &&
    a.length === b.length &&
    a.nlink === b.nlink &&
    sameOwner(a, b) &&
    a.parent === b.parent
  );
}

function sameOwner(a: Attr, b: Attr): boolean {
  return (
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.flags === b.flags &&
    a.accessAcl === b.accessAcl &&
    a.defaultAcl === b.defaultAcl
  );
}

function sameTime(a: Time, b: Time): boolean {
  return a.sec === b.sec && a.nsec === b.nsec;
}
