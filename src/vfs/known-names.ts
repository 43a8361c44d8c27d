import type { DirEntry, Ino } from "../meta/types.ts";
import type { Freshness, ReadMark } from "./freshness.ts";
import {
  DIRECTORY_MAX,
  NameRecords,
  newListing,
  type DirectoryRecord,
  type Listing,
  type NameRecord,
} from "./name-records.ts";

const NAMES_MAX = 500_000;
/** A listing is made anew when so many of its names are gone, and a quarter of them. */
const GONE_MAX = 64;

/** Names in directories: what was heard of them, and what the kernel was told. Some directories are known in full. */
export class KnownNames {
  readonly #fresh: Freshness;
  readonly #records = new NameRecords(NAMES_MAX);

  constructor(fresh: Freshness) {
    this.#fresh = fresh;
  }

  /** The inode behind a name, 0 where there is none, undefined where that is not known. */
  get(parent: Ino, name: Buffer): Ino | undefined {
    const directory = this.#records.directory(parent);
    if (directory === undefined) return undefined;
    const record = directory.names.get(keyOf(name));
    if (record === undefined) return this.#isFull(directory) ? 0n : undefined;
    const holds = this.#fresh.leftMs(record) > 0;
    return holds && (record.ino !== 0n || this.#fresh.trust === "long") ? record.ino : undefined;
  }

  /** As last heard, however long ago. */
  last(parent: Ino, name: Buffer): NameRecord | undefined {
    return this.#records.directory(parent)?.names.get(keyOf(name));
  }

  /** What is known of a name, with room to note down that the kernel was told; undefined where there is none. */
  record(parent: Ino, name: Buffer): NameRecord | undefined {
    const directory = this.#records.takeDirectory(parent);
    const known = directory.names.get(keyOf(name));
    if (known !== undefined || !this.#isFull(directory)) return known;
    const absent = this.#records.takeName(directory, keyOf(name));
    if (absent !== undefined) this.#set(absent, 0n, 0);
    return absent;
  }

  /** Keeps what an answer brought, unless it was overtaken. */
  learn(
    parent: Ino,
    name: Buffer,
    child: { ino: Ino; type: number },
    mark: ReadMark,
  ): NameRecord | undefined {
    const directory = this.#records.takeDirectory(parent);
    const overtaken = this.#fresh.overtaken(parent, mark);
    const key = keyOf(name);
    if (overtaken && directory.full === undefined && !directory.names.has(key)) return undefined;
    const record = this.#records.takeName(directory, key);
    if (record === undefined) {
      this.#setPart(directory);
      return undefined;
    }
    // Two answers crossed: nobody knows which of them is newer.
    const crossed = record.mark > mark && record.ino !== child.ino;
    if (crossed || overtaken) {
      this.#contradict(record);
      return undefined;
    }
    this.#set(record, child.ino, child.type);
    return record;
  }

  /** The same for a change of our own: a listing that is being read meanwhile may lack it. */
  change(
    parent: Ino,
    name: Buffer,
    child: { ino: Ino; type: number },
    mark: ReadMark,
  ): NameRecord | undefined {
    this.#records.takeDirectory(parent).changes++;
    return this.learn(parent, name, child, mark);
  }

  /** Whether what the kernel is told of it can be taken back. */
  keeps(record: NameRecord): boolean {
    return this.#records.has(record);
  }

  /** Takes down that the kernel is told. @returns how long it may keep it, in milliseconds */
  give(record: NameRecord): number {
    // Names that appear are announced among our own only: beside others the kernel asks each time.
    if (record.ino === 0n && this.#fresh.trust !== "long") return 0;
    const ttl = this.#fresh.leftMs(record);
    if (ttl === 0) return 0;
    record.kernelUntil = Math.max(record.kernelUntil, performance.now() + ttl);
    const { directory } = record;
    directory.kernelUntil = Math.max(directory.kernelUntil, record.kernelUntil);
    return ttl;
  }

  /** A directory that this mount just made has no names. */
  made(ino: Ino, mark: ReadMark): void {
    if (!this.#fresh.overtaken(ino, mark)) this.setFull(this.#records.takeDirectory(ino), []);
  }

  /** Nothing is known of a directory any more, such as one that is gone. */
  forget(ino: Ino): void {
    const directory = this.#records.directory(ino);
    if (directory !== undefined) this.#setPart(directory);
  }

  /** The names of a directory in an order that stays, where all are known. Those that go have the inode 0 then. */
  listing(ino: Ino): Listing | undefined {
    const directory = this.#records.directory(ino);
    if (directory === undefined || !this.#isFull(directory) || directory.doubtful > 0)
      return undefined;
    const { gone } = directory;
    const { names } = directory.listing;
    if (gone > GONE_MAX && gone * 4 > names.length) {
      for (const record of names) record.listedAt = -1;
      this.#setListing(
        directory,
        names.filter((record) => record.ino !== 0n),
      );
    }
    return directory.listing;
  }

  /** The directory whose listing is going to be read. */
  directory(ino: Ino): DirectoryRecord {
    return this.#records.takeDirectory(ino);
  }

  /** An entry that a listing brought; undefined where it cannot be kept. */
  learnListed(
    directory: DirectoryRecord,
    { name, ino, type }: DirEntry,
    mark: ReadMark,
  ): NameRecord | undefined {
    if (this.#fresh.overtaken(directory.ino, mark)) return undefined;
    const record = this.#records.takeName(directory, keyOf(name));
    if (record === undefined || (record.mark > mark && record.ino !== ino)) return undefined;
    this.#set(record, ino, type);
    return record;
  }

  /** Every name of a directory was heard, and none changed meanwhile. */
  setFull(directory: DirectoryRecord, listing: NameRecord[]): void {
    this.#setPart(directory);
    if (listing.length > DIRECTORY_MAX) return;
    this.#setListing(directory, [...new Set(listing)]);
    // What the listing did not bring is not there, whatever was heard of it before.
    for (const record of directory.names.values()) {
      if (record.listedAt < 0) this.#set(record, 0n, 0);
    }
    directory.full = { mark: 0, at: 0, round: 0 };
    this.#fresh.stamp(directory.full);
    // Answers that crossed may have left doubts about names that the listing brought.
    directory.doubtful = 0;
    for (const record of directory.names.values()) {
      if (this.#fresh.contradicted(record)) directory.doubtful++;
    }
  }

  /** Somebody changed a name. @returns the record, where something of it was kept here or by the kernel */
  doubt(parent: Ino, name: Buffer): NameRecord | undefined {
    const directory = this.#records.directory(parent);
    if (directory === undefined) return undefined;
    directory.changes++;
    const full = this.#isFull(directory);
    const known = directory.names.get(keyOf(name));
    const record = known ?? (full ? this.#records.takeName(directory, keyOf(name)) : undefined);
    if (record === undefined) {
      if (full) this.#setPart(directory);
      return undefined;
    }
    const kept = full || this.#fresh.leftMs(record) > 0 || record.kernelUntil > performance.now();
    this.#contradict(record);
    return kept ? record : undefined;
  }

  /** Somebody changed names of a directory, nobody knows which. */
  *doubtAll(ino: Ino): Generator<NameRecord> {
    const directory = this.#records.directory(ino);
    if (directory === undefined) return;
    directory.changes++;
    this.#setPart(directory);
    for (const record of directory.names.values()) this.#contradict(record);
    yield* heldIn(directory, performance.now());
  }

  /** Those that the kernel may hold. */
  *held(): Generator<NameRecord> {
    const begun = performance.now();
    for (const directory of this.#records.all()) {
      if (directory.kernelUntil > begun) yield* heldIn(directory, begun);
    }
  }

  #isFull({ full }: DirectoryRecord): boolean {
    return full !== undefined && this.#fresh.trust === "long" && this.#fresh.leftMs(full) > 0;
  }

  #setPart(directory: DirectoryRecord): void {
    if (directory.full === undefined) return;
    directory.full = undefined;
    for (const record of directory.listing.names) record.listedAt = -1;
    this.#setListing(directory, []);
    directory.doubtful = 0;
  }

  #setListing(directory: DirectoryRecord, names: NameRecord[]): void {
    for (const [at, record] of names.entries()) record.listedAt = at;
    directory.listing = newListing(names);
    directory.gone = 0;
  }

  #contradict(record: NameRecord): void {
    const { directory } = record;
    if (directory.full !== undefined && !this.#fresh.contradicted(record)) directory.doubtful++;
    this.#fresh.contradict(record);
  }

  #set(record: NameRecord, ino: Ino, type: number): void {
    const { directory } = record;
    if (directory.full !== undefined) {
      if (this.#fresh.contradicted(record)) directory.doubtful--;
      this.#setListed(directory, record, ino);
    }
    if (type !== 0 || record.ino !== ino) record.type = type;
    record.ino = ino;
    this.#fresh.stamp(record);
  }

  #setListed(directory: DirectoryRecord, record: NameRecord, ino: Ino): void {
    const was = record.ino !== 0n;
    if (record.listedAt >= 0) {
      if (was !== (ino !== 0n)) directory.gone += was ? 1 : -1;
    } else if (ino !== 0n) {
      record.listedAt = directory.listing.names.push(record) - 1;
    }
  }
}

function* heldIn(directory: DirectoryRecord, begun: number): Generator<NameRecord> {
  for (const record of directory.names.values()) {
    if (record.kernelUntil > begun) yield record;
  }
}

function keyOf(name: Buffer): string {
  return name.toString("latin1");
}
