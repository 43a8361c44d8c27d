import { LRUCache } from "lru-cache";
import type { Notice, Trust } from "../meta/meta.ts";
import type { Attr, Ino } from "../meta/types.ts";
import type { KernelCaches } from "./file-system.ts";

/**
 * What this mount knows of attributes and names, which is also what the kernel was told. How long it holds depends on
 * who announces changes (`Trust`). A record that is dropped to make room is taken back from the kernel too.
 */

/** How long an answer may be kept, in milliseconds. */
const LIFETIME_MS: Readonly<Record<Trust, number>> = { long: 60_000, short: 1000, none: 0 };
const ATTRS_MAX = 200_000;
const ENTRIES_MAX = 300_000;
const VERSIONS_MAX = 200_000;
/** Counters of notices, so that a read finds out whether one came in while it was under way. */
const SHARDS = 4096;

interface KnownAttrRecord {
  readonly attr: Attr;
  readonly until: number;
}

interface KnownEntryRecord {
  /** 0: there is no such name. */
  readonly ino: Ino;
  readonly parent: Ino;
  readonly name: Buffer;
  readonly until: number;
}

/** When a read was sent, in notices of its inode. */
export type ReadMark = number;

export class Known {
  readonly #trust: () => Trust;
  readonly #attrs: LRUCache<Ino, KnownAttrRecord>;
  readonly #entries: LRUCache<string, KnownEntryRecord>;
  /** The data the kernel may hold pages of: mtime and length. */
  readonly #versions = new LRUCache<Ino, string>({ max: VERSIONS_MAX });
  readonly #noticed = new Uint32Array(SHARDS);
  #kernel: KernelCaches | undefined;
  #dropping = false;

  constructor(trust: () => Trust) {
    this.#trust = trust;
    this.#attrs = new LRUCache({
      max: ATTRS_MAX,
      dispose: (_record, ino, reason) => {
        if (reason === "evict") this.#kernel?.attrChanged(ino);
      },
    });
    this.#entries = new LRUCache({
      max: ENTRIES_MAX,
      dispose: ({ parent, name }, _key, reason) => {
        if (reason === "evict") this.#kernel?.entryChanged(parent, name);
      },
    });
  }

  set kernel(kernel: KernelCaches) {
    this.#kernel = kernel;
  }

  /** Milliseconds that an answer given now may be kept. */
  get lifetimeMs(): number {
    return this.#dropping ? 0 : LIFETIME_MS[this.#trust()];
  }

  /** To be taken before a read of the inode, or of a name in the directory, is sent. */
  mark(ino: Ino): ReadMark {
    return this.#noticed[shard(ino)] ?? 0;
  }

  attr(ino: Ino): Attr | undefined {
    const record = this.#attrs.get(ino);
    return record !== undefined && this.#holds(record.until) ? record.attr : undefined;
  }

  /** The inode behind a name, 0 where there is none, undefined where that is not known. */
  entry(parent: Ino, name: Buffer): Ino | undefined {
    const record = this.#entries.get(entryKey(parent, name));
    return record !== undefined && this.#holds(record.until) ? record.ino : undefined;
  }

  /**
   * Keeps attributes that a read brought, unless a notice came in meanwhile.
   *
   * @returns how long the kernel may keep them
   */
  keepAttr(ino: Ino, attr: Attr, mark?: ReadMark): number {
    if (mark !== undefined && mark !== this.mark(ino)) return 0;
    const ttl = this.lifetimeMs;
    if (ttl > 0) this.#attrs.set(ino, { attr, until: Date.now() + ttl });
    else this.#attrs.delete(ino);
    return ttl;
  }

  /** @returns how long the kernel may keep it */
  keepEntry(parent: Ino, name: Buffer, ino: Ino, mark?: ReadMark): number {
    if (mark !== undefined && mark !== this.mark(parent)) return 0;
    const ttl = this.lifetimeMs;
    // Names that are not there are announced when they appear; without announcements the kernel asks each time.
    if (ttl === 0 || (ino === 0n && ttl < LIFETIME_MS.long)) {
      this.#entries.delete(entryKey(parent, name));
      return 0;
    }
    const until = Date.now() + ttl;
    this.#entries.set(entryKey(parent, name), { ino, parent, name: Buffer.from(name), until });
    return ttl;
  }

  forgetAttr(ino: Ino): void {
    this.#attrs.delete(ino);
  }

  /**
   * The data of a file as its attributes tell.
   *
   * @returns true when it is other data than the kernel may have pages of
   */
  sawData(ino: Ino, attr: Attr): boolean {
    const version = `${attr.mtime.sec}.${attr.mtime.nsec}.${attr.length}`;
    const before = this.#versions.get(ino);
    if (before === version) return false;
    this.#versions.set(ino, version);
    return before !== undefined;
  }

  /** True when the kernel was told of just this data before. */
  sameData(ino: Ino, attr: Attr): boolean {
    const version = `${attr.mtime.sec}.${attr.mtime.nsec}.${attr.length}`;
    const same = this.#versions.get(ino) === version;
    this.#versions.set(ino, version);
    return same;
  }

  /** Another session changed something. */
  changed(notice: Notice): void {
    for (const ino of [...notice.attrs, ...notice.data]) {
      this.#bump(ino);
      if (this.#attrs.delete(ino)) this.#kernel?.attrChanged(ino);
    }
    for (const ino of notice.data) {
      if (this.#versions.delete(ino)) this.#kernel?.dataChanged(ino);
    }
    for (const { parent, name } of notice.entries) {
      this.#bump(parent);
      if (this.#entries.delete(entryKey(parent, name))) this.#kernel?.entryChanged(parent, name);
      if (this.#attrs.delete(parent)) this.#kernel?.attrChanged(parent);
    }
  }

  /** Nothing that was kept may be used any more. */
  dropAll(): void {
    this.#dropping = true;
    for (let at = 0; at < SHARDS; at++) this.#noticed[at] = (this.#noticed[at] ?? 0) + 1;
    for (const ino of this.#attrs.keys()) this.#kernel?.attrChanged(ino);
    for (const { parent, name } of this.#entries.values()) this.#kernel?.entryChanged(parent, name);
    for (const ino of this.#versions.keys()) this.#kernel?.dataChanged(ino);
    this.#attrs.clear();
    this.#entries.clear();
    this.#versions.clear();
    this.#dropping = false;
  }

  #holds(until: number): boolean {
    return until > Date.now() && this.#trust() !== "none";
  }

  #bump(ino: Ino): void {
    const at = shard(ino);
    this.#noticed[at] = (this.#noticed[at] ?? 0) + 1;
  }
}

function shard(ino: Ino): number {
  return Number(ino & BigInt(SHARDS - 1));
}

function entryKey(parent: Ino, name: Buffer): string {
  return `${parent}/${name.toString("latin1")}`;
}
