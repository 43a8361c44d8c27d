import type { Ino } from "../meta/types.ts";
import type { Heard } from "./freshness.ts";

/** What a name in a directory leads to, as last heard, and until when the kernel may hold that. */
export interface NameRecord extends Heard {
  readonly directory: DirectoryRecord;
  /** The name's bytes, as Latin-1. */
  readonly name: string;
  /** 0: there is no such name. */
  ino: Ino;
  /** Of the inode, 0 where it is not known. */
  type: number;
  /** By a clock that never jumps, in milliseconds; 0: the kernel does not hold it. */
  kernelUntil: number;
  /** Where it stands in the directory's listing, or -1. */
  listedAt: number;
}

/** Every name of a directory in an order that stays; some may be gone. Open directories go on in it after it was replaced. */
export interface Listing {
  readonly names: NameRecord[];
  /** Of few listings at a time the same. */
  readonly generation: number;
}

/** A directory: names that were heard of, perhaps all there are. */
export interface DirectoryRecord {
  readonly ino: Ino;
  readonly names: Map<string, NameRecord>;
  /** Set while every name is known: one that is not among them is not there. */
  full: Heard | undefined;
  /** While full. */
  listing: Listing;
  /** Names in the listing that are gone. */
  gone: number;
  /** Names of which somebody said that they changed, while full. */
  doubtful: number;
  /** Counts what was heard of changes of names. */
  changes: number;
  /** No name is held by the kernel for longer. */
  kernelUntil: number;
  usedAt: number;
}

/** Names of one directory at most, and names that a listing is kept of. */
export const DIRECTORY_MAX = 100_000;
const MOVE_MS = 1000;
/** Between two sweeps of a directory that is too large. */
const SWEEP_MS = 1000;

/**
 * Names by directory, least recently used directory first. What the kernel may hold is never dropped to make room: then
 * there is no room.
 */
export class NameRecords {
  readonly #max: number;
  readonly #directories = new Map<Ino, DirectoryRecord>();
  #count = 0;
  #sweptAt = 0;

  constructor(max: number) {
    this.#max = max;
  }

  directory(ino: Ino): DirectoryRecord | undefined {
    const directory = this.#directories.get(ino);
    if (directory !== undefined) this.#use(directory);
    return directory;
  }

  /** The directory to write to. */
  takeDirectory(ino: Ino): DirectoryRecord {
    const known = this.directory(ino);
    if (known !== undefined) return known;
    this.#evict(undefined, performance.now());
    const directory: DirectoryRecord = {
      ...{ ino, names: new Map(), full: undefined, listing: newListing([]) },
      ...{ gone: 0, doubtful: 0, changes: 0, kernelUntil: 0, usedAt: performance.now() },
    };
    this.#directories.set(ino, directory);
    return directory;
  }

  /** The record to write to; undefined where there is no room. */
  takeName(directory: DirectoryRecord, name: string): NameRecord | undefined {
    const known = directory.names.get(name);
    if (known !== undefined) return known;
    if (!this.#room(directory)) return undefined;
    const record = newRecord(directory, name);
    directory.names.set(name, record);
    this.#count++;
    return record;
  }

  /** False for one that had to make room: nobody would find it when its name changes. */
  has(record: NameRecord): boolean {
    const { directory, name } = record;
    return (
      this.#directories.get(directory.ino) === directory && directory.names.get(name) === record
    );
  }

  dropDirectory(directory: DirectoryRecord): void {
    if (this.#directories.get(directory.ino) !== directory) return;
    this.#directories.delete(directory.ino);
    this.#count -= directory.names.size;
  }

  /** From the least recently used one on. */
  all(): IterableIterator<DirectoryRecord> {
    return this.#directories.values();
  }

  #use(directory: DirectoryRecord): void {
    const now = performance.now();
    if (now - directory.usedAt < MOVE_MS) return;
    directory.usedAt = now;
    this.#directories.delete(directory.ino);
    this.#directories.set(directory.ino, directory);
  }

  #room(wanted: DirectoryRecord): boolean {
    const now = performance.now();
    if (wanted.names.size >= DIRECTORY_MAX && !this.#sweep(wanted, now)) return false;
    return this.#evict(wanted, now);
  }

  /** @returns false when the kernel may hold something of the least recently used one */
  #evict(wanted: DirectoryRecord | undefined, now: number): boolean {
    if (this.#count + this.#directories.size < this.#max) return true;
    for (const directory of this.#directories.values()) {
      if (this.#count + this.#directories.size < this.#max) return true;
      if (directory === wanted || directory.kernelUntil > now) return false;
      this.dropDirectory(directory);
    }
    return true;
  }

  /** Forgets the names of a large directory that the kernel does not hold. */
  #sweep(directory: DirectoryRecord, now: number): boolean {
    if (now - this.#sweptAt < SWEEP_MS) return false;
    this.#sweptAt = now;
    directory.full = undefined;
    directory.listing = newListing([]);
    directory.changes++;
    for (const record of directory.names.values()) {
      record.listedAt = -1;
      if (record.kernelUntil > now) continue;
      directory.names.delete(record.name);
      this.#count--;
    }
    return directory.names.size < DIRECTORY_MAX;
  }
}

/** Many a listing makes: without the copies that literals in literals are. */
function newRecord(directory: DirectoryRecord, name: string): NameRecord {
  // prettier-ignore
  return { directory, name, ino: 0n, type: 0, mark: 0, at: 0, round: -1, kernelUntil: 0, listedAt: -1 };
}

const GENERATIONS = 8191;
let generation = 0;

export function newListing(names: NameRecord[]): Listing {
  generation = (generation % GENERATIONS) + 1;
  return { names, generation };
}
