import type { Maybe } from "../base/maybe.ts";
import { ROOT_INO, TYPE_DIRECTORY } from "../meta/limits.ts";
import type { DirEntry, Ino } from "../meta/types.ts";
import type { KnownEntry, ListedEntry, ReadFrom } from "./file-system.ts";
import { entryOut, real, shown, type VfsParts } from "./parts.ts";
import { attrOf } from "./attributes.ts";

/** One batch of a listing: entries that have the numbers from `first` on. */
interface Batch {
  readonly first: number;
  readonly cursor: string;
  readonly entries: readonly DirEntry[];
  readonly next: string;
  /** Of the directory's notices, when it was asked for. */
  readonly mark: number;
}

/** `.` and `..` have the numbers 0 and 1. */
const DOTS = 2;
const FIRST = { first: DOTS, cursor: "0" };

function endOf(batch: Batch): number {
  return batch.first + batch.entries.length;
}

/**
 * An open directory. Entries are asked for in batches and only one is held; an offset is the number of an entry, and where
 * each batch began is remembered, so that a reader can go back. Names that a rehash of the server brings twice are told once.
 */
export class DirStream {
  readonly #parts: VfsParts;
  readonly #ino: Ino;
  /** Where batches begin: number of the first entry and cursor. */
  #starts: { first: number; cursor: string }[] = [FIRST];
  /** The number each name was told with. */
  readonly #seen = new Map<string, number>();
  #batch: Batch | undefined;
  #parent: Ino | undefined;

  constructor(parts: VfsParts, ino: Ino) {
    this.#parts = parts;
    this.#ino = ino;
  }

  read(from: ReadFrom, emit: (entry: ListedEntry) => boolean): Maybe<void> {
    const number = Number(from.offset);
    if (number === 0) this.#rewind();
    const batch = this.#batch;
    const here = batch !== undefined && number >= batch.first && number < endOf(batch);
    if (!here) return this.#readOn(number, from.plus, emit);
    const { full, next } = this.#emit(batch, number, { plus: from.plus, emit });
    const done = full || batch.next === "0";
    return done ? undefined : this.#readOn(next, from.plus, emit);
  }

  async #readOn(
    number: number,
    plus: boolean,
    emit: (entry: ListedEntry) => boolean,
  ): Promise<void> {
    let at = number;
    for (; at < DOTS; at++) {
      if (!emit(await this.#dot(at))) return;
    }
    for (;;) {
      const batch = await this.#batchOf(at, plus);
      if (batch === undefined) return;
      const { full, next } = this.#emit(batch, at, { plus, emit });
      if (full) return;
      at = next;
    }
  }

  #rewind(): void {
    this.#starts = [FIRST];
    this.#seen.clear();
    this.#batch = undefined;
  }

  async #dot(at: number): Promise<ListedEntry> {
    const name = Buffer.from(at === 0 ? "." : "..");
    const ino = at === 0 ? this.#ino : await this.#parentIno();
    return { name, ino: shown(this.#parts, ino), type: TYPE_DIRECTORY, offset: BigInt(at + 1) };
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
    for (;;) {
      const batch = await this.#load(start, plus);
      if (at < endOf(batch)) return batch;
      if (batch.next === "0") return undefined;
      start = { first: endOf(batch), cursor: batch.next };
      if ((this.#starts.at(-1)?.first ?? 0) < start.first) this.#starts.push(start);
    }
  }

  async #load(start: { first: number; cursor: string }, plus: boolean): Promise<Batch> {
    const { known, meta } = this.#parts;
    const mark = known.mark(this.#ino);
    const { entries, cursor } = await meta.readdir(this.#ino, start.cursor, plus);
    const fresh = this.#withoutRepeated(start.first, entries, cursor === "0");
    this.#batch = { ...start, entries: fresh, next: cursor, mark };
    return this.#batch;
  }

  /** A directory that came in one batch repeats nothing. */
  #withoutRepeated(first: number, entries: readonly DirEntry[], last: boolean): DirEntry[] {
    const fresh: DirEntry[] = [];
    for (const entry of entries) {
      const key = entry.name.toString("latin1");
      const number = first + fresh.length;
      const before = this.#seen.get(key);
      if (before !== undefined && before !== number) continue;
      if (first !== DOTS || !last) this.#seen.set(key, number);
      fresh.push(entry);
    }
    return fresh;
  }

  #emit(
    batch: Batch,
    number: number,
    { plus, emit }: { plus: boolean; emit: (entry: ListedEntry) => boolean },
  ): { full: boolean; next: number } {
    const current = batch.mark === this.#parts.known.mark(this.#ino);
    let at = number;
    for (; at < endOf(batch); at++) {
      const entry = batch.entries[at - batch.first];
      if (entry === undefined) continue;
      const known = plus && current ? this.#known(entry, batch.mark) : undefined;
      const ino = shown(this.#parts, entry.ino);
      const offset = BigInt(at + 1);
      if (!emit({ name: entry.name, ino, type: entry.type, offset, known })) {
        return { full: true, next: at };
      }
    }
    return { full: false, next: at };
  }

  /** What is handed out with the name; nothing where it may be stale by now. */
  #known({ name, ino, attr }: DirEntry, mark: number): KnownEntry | undefined {
    const { known } = this.#parts;
    if (attr === undefined || known.lifetimeMs === 0) return undefined;
    const newer = known.entry(this.#ino, name);
    if (newer !== undefined && newer !== ino) return undefined;
    const entryTtl = known.keepEntry(this.#ino, name, ino, mark);
    const latest = known.attr(ino) ?? attr;
    const attrTtl = known.keepAttr(ino, latest);
    return entryOut(this.#parts, { ino, attr: latest }, { entry: entryTtl, attr: attrTtl });
  }
}
