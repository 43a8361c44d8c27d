import { growingCache } from "../base/growing-cache.ts";
import type { Notice, Trust } from "../meta/meta.ts";
import type { Attr, Ino } from "../meta/types.ts";
import type { KernelCaches } from "./file-system.ts";
import { Freshness, LIFETIME_MS, type ReadMark } from "./freshness.ts";
import { KernelListings } from "./kernel-listings.ts";
import { KnownAttrs } from "./known-attrs.ts";
import { KnownData } from "./known-data.ts";
import { KnownNames } from "./known-names.ts";
import { KnownXattrs } from "./known-xattrs.ts";
import type { AttrRecord } from "./attr-records.ts";
import type { NameRecord } from "./name-records.ts";
import { Replaced } from "./replaced.ts";

/**
 * What this mount knows of the volume, and what the kernel may hold of it. What the kernel may hold is known here or its
 * lifetime is over: so a notice is passed on for just that, and an answer there is no room for gets no lifetime.
 */

const TARGETS_MAX = 50_000;
/**
 * For how long the kernel may keep what a listing brought and there is no room for here: a program that looks at each name as
 * it comes is quicker.
 */
const UNKEPT_MS = 100;
/** Messages to the kernel in one turn of the event loop while everything is taken back. */
const STRIDE = 256;

export type { ReadMark } from "./freshness.ts";

export interface KnownOptions {
  /** How far changes by others are announced. */
  readonly trust: () => Trust;
  /** Whether a file is open here. */
  readonly isOpen?: (ino: Ino) => boolean;
  /** A process before this one handed out what is not known here. */
  readonly inherited?: boolean;
}

/** What is known of a name, with the lifetimes that the kernel may be given, in milliseconds. */
export interface KnownName {
  /** 0: there is no such name, and no `attr`. */
  readonly ino: Ino;
  readonly attr?: Attr;
  readonly entryTtlMs: number;
  readonly attrTtlMs: number;
}

export interface KnownCounts {
  /** Notices of others of which something was kept here. */
  readonly useful: number;
  /** Messages to the kernel. */
  readonly messages: number;
  /** Times that everything was given up. */
  readonly dropped: number;
}

export class Known {
  readonly counts = { useful: 0, messages: 0, dropped: 0 };
  readonly attrs: KnownAttrs;
  readonly names: KnownNames;
  readonly data: KnownData;
  readonly xattrs: KnownXattrs;
  /** Of symlinks: they never change. */
  readonly targets = growingCache<Ino, Buffer>(TARGETS_MAX);
  readonly listings = new KernelListings();
  readonly replaced = new Replaced();
  readonly #fresh: Freshness;
  readonly #inheritedUntil: number;
  #kernel: KernelCaches | undefined;
  #walk: Iterator<unknown> | undefined;

  constructor({ trust, isOpen = () => false, inherited = false }: KnownOptions) {
    this.#fresh = new Freshness(trust);
    this.attrs = new KnownAttrs(this.#fresh);
    this.names = new KnownNames(this.#fresh);
    this.data = new KnownData(isOpen, () => this.#inherited());
    this.xattrs = new KnownXattrs(this.#fresh);
    this.#inheritedUntil = inherited ? performance.now() + LIFETIME_MS.long : 0;
  }

  set kernel(kernel: KernelCaches) {
    this.#kernel = kernel;
  }

  /** To be taken before a read or a change is sent. */
  mark(): ReadMark {
    return this.#fresh.mark();
  }

  attr(ino: Ino): Attr | undefined {
    return this.attrs.get(ino);
  }

  /** The inode behind a name, 0 where there is none, undefined where that is not known. */
  entry(parent: Ino, name: Buffer): Ino | undefined {
    return this.names.get(parent, name);
  }

  /** What a name led to when it was last heard of: for those who find out themselves whether it still does. */
  lastEntry(parent: Ino, name: Buffer): Ino | undefined {
    return this.names.last(parent, name)?.ino;
  }

  /** The same with the attributes then; not where somebody said that the name changed. */
  lastKnown(parent: Ino, name: Buffer): { ino: Ino; attr: Attr } | undefined {
    const record = this.names.last(parent, name);
    if (record === undefined || this.#fresh.contradicted(record)) return undefined;
    const attr = this.attrs.last(record.ino);
    return attr === undefined ? undefined : { ino: record.ino, attr };
  }

  /** What is known of a name, as the kernel is told it now; undefined where the server has to be asked. */
  lookup(parent: Ino, name: Buffer): KnownName | undefined {
    const ino = this.names.get(parent, name);
    if (ino === undefined) return undefined;
    const record = this.names.record(parent, name);
    const entryTtlMs = record === undefined ? 0 : this.names.give(record);
    if (ino === 0n) return { ino, entryTtlMs, attrTtlMs: 0 };
    const attr = this.attrs.get(ino);
    if (attr === undefined) return undefined;
    return { ino, attr, entryTtlMs, attrTtlMs: this.attrs.give(ino, record) };
  }

  /** What the kernel is told with a name of a listing; undefined where something about it is in doubt. */
  listed(record: NameRecord): KnownName | undefined {
    const { ino } = record;
    const attr = ino === 0n ? undefined : this.attrs.get(ino);
    if (attr === undefined || this.#fresh.leftMs(record) === 0) return undefined;
    if (!this.names.keeps(record)) return undefined;
    const entryTtlMs = this.names.give(record);
    return { ino, attr, entryTtlMs, attrTtlMs: this.attrs.give(ino, record) };
  }

  /**
   * What the kernel is told with a name of a listing that there is no room to keep, as it was when the listing was read;
   * undefined where something about it is in doubt. `at`: when that was, by a clock that never jumps.
   */
  unkept(
    parent: Ino,
    { ino, attr }: { ino: Ino; attr?: Attr | undefined },
    { mark, at }: { mark: ReadMark; at: number },
  ): KnownName | undefined {
    const trust = this.#fresh.trust;
    if (attr === undefined || performance.now() - at > LIFETIME_MS.short || trust === "none")
      return undefined;
    if (this.#fresh.overtaken(parent, mark) || this.#fresh.overtaken(ino, mark)) return undefined;
    return { ino, attr, entryTtlMs: UNKEPT_MS, attrTtlMs: UNKEPT_MS };
  }

  /**
   * Keeps attributes that an answer brought, unless a notice came in meanwhile.
   *
   * @returns how long the kernel may keep them
   */
  keepAttr(ino: Ino, attr: Attr, mark: ReadMark): number {
    return this.attrs.learn(ino, attr, mark) ? this.attrs.give(ino) : 0;
  }

  /** The same for what a name leads to, 0 where it leads nowhere. */
  keepEntry(parent: Ino, name: Buffer, ino: Ino, mark: ReadMark): number {
    const record = this.names.learn(parent, name, this.#child(ino), mark);
    this.replaced.found(ino);
    return record === undefined ? 0 : this.#give(record);
  }

  /** The same after a change of our own. */
  changedEntry(parent: Ino, name: Buffer, ino: Ino, mark: ReadMark): number {
    const record = this.names.change(parent, name, this.#child(ino), mark);
    return record === undefined ? 0 : this.#give(record);
  }

  /** A name that is gone, or leads elsewhere, by a change of our own: the kernel knows, and keeps nothing. */
  movedEntry(parent: Ino, name: Buffer, ino: Ino, mark: ReadMark): void {
    this.names.change(parent, name, this.#child(ino), mark);
  }

  /** Attributes that a commit of data or of flags left: the kernel does not know them. */
  committed(ino: Ino, attr: Attr, mark: ReadMark): void {
    const before = this.attrs.doubt(ino);
    this.attrs.learn(ino, attr, mark);
    if (before !== undefined) this.#takeBackAttr(before);
  }

  forgetAttr(ino: Ino): void {
    this.attrs.forget(ino);
  }

  /** The data of a file as its attributes tell. @returns true when it is other data than the kernel may have pages of */
  sawData(ino: Ino, attr: Attr): boolean {
    return this.data.saw(ino, attr);
  }

  /** True when the kernel was told of just this data before. */
  sameData(ino: Ino, attr: Attr): boolean {
    return this.data.same(ino, attr);
  }

  /** An inode is gone that a name still led to: the notice of it is on its way. */
  lost(ino: Ino): void {
    const via = this.attrs.via(ino);
    this.#attrChanged(ino);
    if (via === undefined) return;
    const { parent, name } = nameOf(via);
    this.#entryChanged(parent, name);
  }

  /** Another session changed something. */
  changed(notice: Notice): void {
    const before = this.counts.messages;
    let useful = false;
    for (const ino of notice.attrs) useful = this.#attrChanged(ino) || useful;
    for (const ino of notice.data) useful = this.#dataChanged(ino) || useful;
    for (const ino of notice.xattrs) {
      this.#fresh.notice(ino);
      useful = this.xattrs.doubt(ino) || useful;
    }
    for (const { parent, name } of notice.entries) {
      useful = this.#entryChanged(parent, name) || useful;
    }
    for (const ino of notice.directories) this.#namesChanged(ino);
    if (useful || this.counts.messages > before) this.counts.useful++;
  }

  /** Notices were missed for a moment, and read afterwards. */
  interrupted(): void {
    this.#fresh.interrupted();
  }

  /** Nothing that was kept may be used any more. What the kernel holds is taken back piece by piece. */
  dropAll(): void {
    this.counts.dropped++;
    this.#fresh.startOver();
    const idle = this.#walk === undefined;
    this.#walk = this.#takeBack();
    if (idle) this.#step();
  }

  #child(ino: Ino): { ino: Ino; type: number } {
    return { ino, type: this.attrs.last(ino)?.type ?? 0 };
  }

  #give(record: NameRecord): number {
    if (record.ino !== 0n) this.attrs.give(record.ino, record);
    return this.names.give(record);
  }

  #attrChanged(ino: Ino): boolean {
    this.#fresh.notice(ino);
    const record = this.attrs.doubt(ino);
    if (record !== undefined) this.#takeBackAttr(record);
    else if (this.#inherited()) this.#tell((kernel) => kernel.attrChanged(ino));
    return record !== undefined;
  }

  #dataChanged(ino: Ino): boolean {
    const known = this.#attrChanged(ino);
    const held = this.data.doubt(ino);
    if (held || this.#inherited()) this.#tell((kernel) => kernel.dataChanged(ino));
    return known || held;
  }

  #entryChanged(parent: Ino, name: Buffer): boolean {
    this.#fresh.notice(parent);
    if (this.listings.doubt(parent)) this.#tell((kernel) => kernel.dataChanged(parent));
    const record = this.names.doubt(parent, name);
    if (record !== undefined) {
      this.replaced.note(record.ino);
      this.#takeBackName(record, true);
    } else if (this.#inherited()) {
      this.#tell((kernel) => kernel.entryChanged(parent, name, true));
    }
    return record !== undefined;
  }

  #namesChanged(ino: Ino): void {
    this.#fresh.notice(ino);
    if (this.listings.doubt(ino)) this.#tell((kernel) => kernel.dataChanged(ino));
    for (const record of this.names.doubtAll(ino)) {
      this.replaced.note(record.ino);
      this.#takeBackName(record, false);
    }
  }

  /** True while the kernel may hold what a process before handed out. */
  #inherited(): boolean {
    return performance.now() < this.#inheritedUntil;
  }

  #takeBackAttr(record: AttrRecord): void {
    const held = record.kernelUntil > performance.now() || this.#inherited();
    record.kernelUntil = 0;
    const via = record.via;
    if (held) this.#tell((kernel) => kernel.attrChanged(record.ino, via && nameOf(via)));
  }

  #takeBackName(record: NameRecord, gone: boolean): void {
    const held = record.kernelUntil > performance.now() || this.#inherited();
    record.kernelUntil = 0;
    const { parent, name } = nameOf(record);
    if (held) this.#tell((kernel) => kernel.entryChanged(parent, name, gone));
  }

  *#takeBack(): Generator {
    for (const record of this.attrs.held()) yield this.#takeBackAttr(record);
    for (const record of this.names.held()) yield this.#takeBackName(record, false);
    for (const ino of [...this.listings.held()]) {
      this.listings.doubt(ino);
      yield this.#tell((kernel) => kernel.dataChanged(ino));
    }
    for (const ino of [...this.data.held()]) {
      this.data.doubt(ino);
      yield this.#tell((kernel) => kernel.dataChanged(ino));
    }
  }

  #step(): void {
    for (let done = 0; done < STRIDE; done++) {
      if (this.#walk?.next().done === true) this.#walk = undefined;
      if (this.#walk === undefined) return;
    }
    setImmediate(() => {
      this.#step();
    });
  }

  #tell(message: (kernel: KernelCaches) => void): void {
    if (this.#kernel === undefined) return;
    this.counts.messages++;
    message(this.#kernel);
  }
}

function nameOf({ directory, name }: NameRecord): { parent: Ino; name: Buffer } {
  return { parent: directory.ino, name: Buffer.from(name, "latin1") };
}
