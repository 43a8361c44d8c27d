import type { Maybe } from "../base/maybe.ts";
import { ROOT_INO, TYPE_DIRECTORY } from "../meta/limits.ts";
import type { DirBatch } from "../meta/meta.ts";
import type { DirEntry, Ino } from "../meta/types.ts";
import { attrOf } from "./attr-of.ts";
import { DOTS, numberOf, offsetOf } from "./dir-offsets.ts";
import type { KnownEntry, ListedEntry, ReadFrom } from "./file-system.ts";
import type { Told } from "./listing-notes.ts";
import {
  DIRECTORY_MAX,
  type DirectoryRecord,
  type Listing,
  type NameRecord,
} from "./name-records.ts";
import type { KnownName } from "./known.ts";
import { ToldNames } from "./told-names.ts";
import { entryOut, real, sawAttr, shown, type VfsParts } from "./parts.ts";

/** An entry of a batch, and what is kept of it. */
interface Listed {
  readonly entry: DirEntry;
  readonly record: NameRecord | undefined;
}

/** One batch of a listing: entries that have the numbers from `first` on. Of one that is read again some may be gone. */
interface Batch {
  readonly first: number;
  readonly cursor: string;
  readonly entries: readonly (Listed | undefined)[];
  readonly next: string;
  readonly asked: Asked;
}

/** When a batch was asked for. */
interface Asked {
  readonly mark: number;
  readonly at: number;
  readonly ownChanges: number;
}

/** A batch that is on its way. */
interface Asking {
  readonly cursor: string;
  readonly plus: boolean;
  readonly asked: Asked;
  readonly reply: Promise<DirBatch>;
}

/** Where a batch begins: the number of its first entry and the server's cursor, which is 0 behind the last one too. */
interface Start {
  readonly first: number;
  readonly cursor: string;
}

/** Where entries are read from, and how they are handed out. */
interface Reading extends ReadFrom {
  readonly emit: (entry: ListedEntry) => boolean;
}

const FIRST: Start = { first: DOTS, cursor: "0" };
/** Instead of a cursor: behind what a process before told, all that it did not. */
const THE_REST = "rest";
/** How old a batch that was asked for ahead may be. */
const NEXT_MS = 1000;
/** Missing attributes are asked for that many entries ahead. */
const AHEAD = 4096;

function endOf(batch: Batch): number {
  return batch.first + batch.entries.length;
}

/**
 * An open directory. Where all its names are known they are read from memory; else entries are asked for in batches of which
 * one is held while the next one is on its way, where each began is remembered, and names that a rehash of the server brings
 * twice are told once. Who goes back finds each name where it was, whatever was made or removed meanwhile.
 */
export class DirStream {
  readonly #parts: VfsParts;
  readonly #ino: Ino;
  #listing: Listing | undefined;
  /** So many names it had when the reader began: what is made meanwhile must not keep him from coming to an end. */
  #listed = 0;
  /** So many of its names were looked at for missing attributes. */
  #aheadUntil = 0;
  #starts: Start[] = [FIRST];
  /** The number each name was told with. */
  readonly #told = new ToldNames();
  #batch: Batch | undefined;
  #next: Asking | undefined;
  /** What the batches brought so far; undefined when not all of it could be kept. */
  #collected: { directory: DirectoryRecord; changes: number; names: NameRecord[] } | undefined;
  #parent: Ino | undefined;

  constructor(parts: VfsParts, ino: Ino) {
    this.#parts = parts;
    this.#ino = ino;
    this.#rewind();
  }

  /** The names of the directory, where all are known. */
  get listing(): Listing | undefined {
    return this.#listing;
  }

  read(from: ReadFrom, emit: (entry: ListedEntry) => boolean): Maybe<void> {
    if (from.offset === 0n) this.#rewind();
    const reading = { ...from, emit };
    const number = numberOf(from.offset);
    if (this.#listing !== undefined) return this.#readKnown(this.#listing, number, reading);
    const batch = this.#batch;
    const here = batch !== undefined && number >= batch.first && number < endOf(batch);
    if (!here) return this.#readOn(number, reading);
    const { full, next } = this.#emitBatch(batch, number, reading);
    return full || batch.next === "0" ? undefined : this.#readOn(next, reading);
  }

  /** Goes on from `offset` where a process before stopped, which told these names. */
  goOn(told: Told, offset: bigint): void {
    const first = Math.max(numberOf(offset), DOTS);
    this.#listing = undefined;
    for (const [number, name] of told) if (number < first) this.#told.tell(name, number);
    this.#starts = [{ first, cursor: THE_REST }];
  }

  #offsetOf(number: number): bigint {
    return offsetOf(number, this.#listing);
  }

  #rewind(): void {
    const { names } = this.#parts.known;
    this.#listing = names.listing(this.#ino);
    this.#listed = this.#listing?.names.length ?? 0;
    this.#aheadUntil = 0;
    this.#starts = [FIRST];
    this.#told.clear();
    this.#batch = undefined;
    this.#next = undefined;
    this.#collected = undefined;
  }

  #readKnown(listing: Listing, number: number, reading: Reading): Maybe<void> {
    const missing = reading.plus ? this.#missingAttrs(listing, number) : [];
    if (number < DOTS || missing.length > 0) {
      return this.#readKnownLater(listing, { number, missing, reading });
    }
    this.#emitKnown(listing, number, reading);
    return undefined;
  }

  async #readKnownLater(
    listing: Listing,
    { number, missing, reading }: { number: number; missing: readonly Ino[]; reading: Reading },
  ): Promise<void> {
    const { known, meta } = this.#parts;
    if (missing.length > 0) {
      const mark = known.mark();
      const attrs = await meta.getattrs(missing);
      for (const [at, ino] of missing.entries()) {
        const attr = attrs[at];
        if (attr === undefined) continue;
        sawAttr(this.#parts, ino, attr);
        known.attrs.learn(ino, attr, mark);
      }
    }
    const next = await this.#emitDots(number, reading);
    if (next !== undefined) this.#emitKnown(listing, next, reading);
  }

  /** Inodes of the entries to come whose attributes are not known. */
  #missingAttrs({ names }: Listing, number: number): Ino[] {
    const { known } = this.#parts;
    const missing: Ino[] = [];
    const first = Math.max(number - DOTS, 0);
    if (first < this.#aheadUntil) return missing;
    this.#aheadUntil = first + AHEAD;
    for (const { ino } of names.slice(first, first + AHEAD)) {
      if (ino !== 0n && known.attr(ino) === undefined) missing.push(ino);
    }
    return missing;
  }

  #emitKnown({ names }: Listing, number: number, { plus, emit }: Reading): void {
    for (let at = number; at - DOTS < this.#listed; at++) {
      const record = names[at - DOTS];
      if (record === undefined || record.ino === 0n) continue;
      const told = {
        name: Buffer.from(record.name, "latin1"),
        ino: shown(this.#parts, record.ino),
        type: record.type,
        offset: this.#offsetOf(at + 1),
        known: plus ? this.#known(record) : undefined,
      };
      if (!emit(told)) return;
    }
  }

  async #readOn(number: number, reading: Reading): Promise<void> {
    let at = await this.#emitDots(number, reading);
    while (at !== undefined) {
      const batch = await this.#batchOf(at, reading.plus);
      if (batch === undefined) return;
      const { full, next } = this.#emitBatch(batch, at, reading);
      at = full ? undefined : next;
    }
  }

  /** @returns the number to go on with, undefined when the reply is full */
  async #emitDots(number: number, { emit }: Reading): Promise<number | undefined> {
    for (let at = number; at < DOTS; at++) {
      const name = Buffer.from(at === 0 ? "." : "..");
      const ino = at === 0 ? this.#ino : await this.#parentIno();
      const offset = this.#offsetOf(at + 1);
      if (!emit({ name, ino: shown(this.#parts, ino), type: TYPE_DIRECTORY, offset }))
        return undefined;
    }
    return Math.max(number, DOTS);
  }

  async #parentIno(): Promise<Ino> {
    if (this.#ino === real(this.#parts, ROOT_INO)) return this.#ino;
    this.#parent ??= (await attrOf(this.#parts, this.#ino)).parent;
    return this.#parent;
  }

  /** The batch that holds entry `at`, or undefined behind the last one. */
  async #batchOf(at: number, plus: boolean): Promise<Batch | undefined> {
    const held = this.#batch;
    if (held !== undefined && at >= held.first) {
      if (at < endOf(held)) return held;
      if (held.next === "0") return undefined;
    }
    let start = this.#starts.findLast(({ first }) => first <= at) ?? FIRST;
    while (start === FIRST || start.cursor !== "0") {
      const batch = await this.#load(start, plus);
      if (at < endOf(batch)) return batch;
      start = { first: endOf(batch), cursor: batch.next };
    }
    return undefined;
  }

  async #load(start: Start, plus: boolean): Promise<Batch> {
    const following = this.#starts.find(({ first }) => first > start.first);
    if (following === undefined) {
      this.#batch = await this.#loadNew(start, plus);
      this.#noteStart({ first: endOf(this.#batch), cursor: this.#batch.next });
    } else {
      this.#batch = await this.#loadAgain(start, following, plus);
    }
    return this.#batch;
  }

  /** One that brought nothing new is passed over by who comes again. */
  #noteStart(start: Start): void {
    if (this.#starts.at(-1)?.first === start.first) this.#starts.pop();
    this.#starts.push(start);
  }

  /**
   * What was told before, with the numbers it was told with; what was made meanwhile is left out. Where the server's table grew
   * it takes several answers.
   */
  async #loadAgain(start: Start, following: Start, plus: boolean): Promise<Batch> {
    const directory = this.#parts.known.names.directory(this.#ino);
    [this.#collected, this.#next] = [undefined, undefined];
    const length = following.first - start.first;
    const entries = Array.from<Listed | undefined>({ length });
    let [cursor, beyond] = [start.cursor, false];
    let since: Asked | undefined;
    do {
      const { asked, reply } = this.#ask(cursor, plus);
      since ??= asked;
      const answer = await reply;
      for (const entry of answer.entries) {
        const at = this.#told.numberOf(entry.name) - start.first;
        if (at >= length) beyond = following.cursor !== THE_REST;
        else if (at >= 0)
          entries[at] = { entry, record: this.#learn(directory, entry, asked.mark) };
      }
      ({ cursor } = answer);
    } while (cursor !== following.cursor && cursor !== "0" && !beyond);
    return { ...start, entries, next: following.cursor, asked: since };
  }

  async #loadNew(start: Start, plus: boolean): Promise<Batch> {
    const { known } = this.#parts;
    const directory = known.names.directory(this.#ino);
    if (start.cursor === "0")
      this.#collected = { directory, changes: directory.changes, names: [] };
    const { asked, reply } = this.#takeNext(start.cursor, plus) ?? this.#ask(start.cursor, plus);
    const { entries, cursor } = await reply;
    // The server looks for it while the entries of this one are told.
    this.#next = cursor === "0" ? undefined : this.#ask(cursor, plus);
    const fresh = this.#withoutRepeated(start.first, entries, cursor === "0");
    const listed = fresh.map((entry) => {
      const record = this.#learn(directory, entry, asked.mark);
      return { entry, record };
    });
    this.#collect(directory, listed, cursor === "0");
    return { ...start, entries: listed, next: cursor, asked };
  }

  /** What was asked for ahead, once: where it failed it is asked for anew, and so is what a reader comes for much later. */
  #takeNext(cursor: string, plus: boolean): Asking | undefined {
    const next = this.#next;
    this.#next = undefined;
    const fits = next?.cursor === cursor && (next.plus || !plus);
    return fits && performance.now() - next.asked.at < NEXT_MS ? next : undefined;
  }

  #ask(cursor: string, plus: boolean): Asking {
    const { known, meta } = this.#parts;
    const asked = { mark: known.mark(), at: performance.now(), ownChanges: meta.ownChanges };
    const reply = meta.readdir(this.#ino, cursor === THE_REST ? "0" : cursor, plus);
    // Whoever reads on learns of a failure.
    reply.catch(() => undefined);
    return { cursor, plus, asked, reply };
  }

  /** A directory that came in one batch repeats nothing. */
  #withoutRepeated(first: number, entries: readonly DirEntry[], last: boolean): DirEntry[] {
    const fresh: DirEntry[] = [];
    const once = first === DOTS && last;
    for (const entry of entries) {
      const number = first + fresh.length;
      if (once || this.#told.tell(entry.name, number) === number) fresh.push(entry);
    }
    return fresh;
  }

  #learn(directory: DirectoryRecord, entry: DirEntry, mark: number): NameRecord | undefined {
    const { known } = this.#parts;
    const { ino, attr } = entry;
    const record = known.names.learnListed(directory, entry, mark);
    if (attr !== undefined) {
      sawAttr(this.#parts, ino, attr);
      // Without the name they would take the room of others, and nothing would be answered from them.
      if (record !== undefined) known.attrs.learn(ino, attr, mark);
    }
    return record;
  }

  /** Takes the listing over as the directory's, when it is complete and nothing changed since it began. */
  #collect(directory: DirectoryRecord, listed: readonly Listed[], last: boolean): void {
    const collected = this.#collected;
    if (collected === undefined) return;
    for (const { record } of listed) {
      if (record !== undefined) collected.names.push(record);
    }
    const kept = listed.every(({ record }) => record !== undefined);
    const same = collected.directory === directory && collected.changes === directory.changes;
    if (!kept || !same || collected.names.length > DIRECTORY_MAX) this.#collected = undefined;
    else if (last) {
      this.#collected = undefined;
      this.#parts.known.names.setFull(directory, collected.names);
    }
  }

  #emitBatch(
    batch: Batch,
    number: number,
    { plus, emit }: Reading,
  ): { full: boolean; next: number } {
    let at = number;
    for (; at < endOf(batch); at++) {
      const listed = batch.entries[at - batch.first];
      if (listed === undefined || listed.record?.ino === 0n) continue;
      const { name, ino, type } = listed.entry;
      const known = plus ? this.#knownOf(listed, batch) : undefined;
      const offset = this.#offsetOf(at + 1);
      if (!emit({ name, ino: shown(this.#parts, ino), type, offset, known })) {
        return { full: true, next: at };
      }
    }
    return { full: false, next: at };
  }

  #knownOf({ entry, record }: Listed, { asked }: Batch): KnownEntry | undefined {
    const { known } = this.#parts;
    if (record !== undefined && known.names.keeps(record)) {
      return record.ino === entry.ino ? this.#known(record) : undefined;
    }
    if (asked.ownChanges !== this.#parts.meta.ownChanges) return undefined;
    return this.#toldWith(known.unkept(this.#ino, entry, asked));
  }

  #known(record: NameRecord): KnownEntry | undefined {
    return this.#toldWith(this.#parts.known.listed(record));
  }

  /** What is handed out with the name; nothing where it may be stale by now. */
  #toldWith(known: KnownName | undefined): KnownEntry | undefined {
    if (known?.attr === undefined) return undefined;
    const { ino, attr, entryTtlMs, attrTtlMs } = known;
    return entryOut(this.#parts, { ino, attr }, { entry: entryTtlMs, attr: attrTtlMs });
  }
}
