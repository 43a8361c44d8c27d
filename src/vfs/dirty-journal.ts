import { closeSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Extent } from "../chunk/spool.ts";
import type { Ino } from "../meta/types.ts";
import type { PendingSlice, StoredPlace } from "./pending-slice.ts";

/**
 * What the bytes in the spool are: a log in memory (tmpfs) from which a process that takes over rebuilds the pending slices.
 * Data first, then its record here, then the answer to the writer. A record is 64 bytes, little endian.
 */

const RECORD_BYTES = 64;
/** The log is written anew when it is longer. */
const LENGTH_MAX = 4 << 20;
const FILE_NAME = "journal";
const NEXT_NAME = "journal.next";

/** Kinds of records; what a, b, x, y, z mean. */
const KIND = {
  /** a: chunk index, b: position, x: inode, y: 1 for append. */
  begin: 1,
  /** a: length, x: offset in the spool. */
  extent: 2,
  /** a: length of the slice, x: seconds and b: nanoseconds of mtime, y: number of an append's request. */
  grew: 3,
  /** a: size of the stored slice, b: offset in it, x: its id. */
  identity: 4,
  /** The slice's record is part of the commit under way, in this order. a: of how many, x: number of the commit. */
  commit: 5,
  /** It is committed, or given up. */
  end: 6,
  /** y: number of an append's request that is not answered yet. */
  unanswered: 7,
  /** Objects that may come to belong to nobody. a: size and x: id of their slice, b: chunk index and y: inode it is for, or 0. */
  loose: 8,
  /** They belong to somebody, or are gone. x: id. */
  fixed: 9,
  /** What was written to a file could not be stored, and who has it open may still have to be told. a: errno, x: inode. */
  failed: 10,
  /** Nobody is to be told any more. x: inode. */
  forgotten: 11,
} as const;

/** A pending slice as the log tells it. */
export interface JournaledSlice {
  readonly ino: Ino;
  readonly chunkIndex: number;
  readonly pos: number;
  readonly append: boolean;
  readonly extents: Extent[];
  length: number;
  mtime: { sec: number; nsec: number };
  identity: StoredPlace | undefined;
}

export interface Journaled {
  /** In the order of their creation. */
  readonly slices: readonly JournaledSlice[];
  /** Of the commit that was under way, in the order of its records; some may have ended since. */
  readonly commit: readonly JournaledSlice[];
  /** Requests whose bytes are in the spool although they may be sent again. */
  readonly appends: ReadonlySet<bigint>;
  /** Slices that were being stored or deleted, outside of the pending ones. */
  readonly loose: readonly LooseSlice[];
  /** Files of which something could not be stored, with the errno. */
  readonly failed: ReadonlyMap<Ino, number>;
}

/** A slice whose objects belong to nobody, unless a record of this chunk refers to it. */
export interface LooseSlice {
  readonly id: bigint;
  readonly size: number;
  readonly chunk?: { readonly ino: Ino; readonly chunkIndex: number } | undefined;
}

const NO_COMMIT = { number: 0n, count: 0, slices: [] };

export const NOTHING_JOURNALED: Journaled = {
  slices: [],
  commit: [],
  appends: new Set(),
  loose: [],
  failed: new Map(),
};

/** What one record says; absent numbers are zero. */
interface RecordFields {
  readonly a?: number;
  readonly b?: number;
  readonly x?: bigint;
  readonly y?: bigint;
}

export class DirtyJournal {
  readonly #folder: string;
  readonly #record = Buffer.alloc(RECORD_BYTES);
  readonly #unanswered = new Set<bigint>();
  readonly #pending = new Map<number, PendingSlice>();
  readonly #loose = new Map<bigint, LooseSlice>();
  readonly #failed = new Map<Ino, number>();
  #fd: number;
  #length = 0;
  #lastCommit = 0n;

  /** Begins a log beside the one that may be there, until it is `activate`d. */
  constructor(folder: string) {
    this.#folder = folder;
    this.#fd = this.#openNext();
  }

  /** From now on this log counts. `unanswered`: appends of a process before that may be sent again. */
  activate(unanswered: ReadonlySet<bigint> = new Set()): void {
    for (const unique of unanswered) {
      this.#unanswered.add(unique);
      this.#write(KIND.unanswered, 0, { y: unique });
    }
    renameSync(join(this.#folder, NEXT_NAME), join(this.#folder, FILE_NAME));
  }

  begin(slice: PendingSlice): void {
    this.#pending.set(slice.number, slice);
    this.#begin(slice);
  }

  /** Its end moved; `extents`: how many of the last ones are new. `unique`: of an append. */
  grew(slice: PendingSlice, extents: number, unique?: bigint): void {
    for (const extent of slice.buffer.extents.slice(slice.buffer.extents.length - extents)) {
      this.#write(KIND.extent, slice.number, { a: extent.length, x: BigInt(extent.offset) });
    }
    if (unique !== undefined) this.#unanswered.add(unique);
    this.#grew(slice, unique);
  }

  /** The request of an append was answered: it will not be sent again. */
  answered(unique: bigint): void {
    this.#unanswered.delete(unique);
  }

  /** Where its bytes are being stored. */
  identity(slice: PendingSlice, { id, size, off }: StoredPlace): void {
    this.#write(KIND.identity, slice.number, { a: size, b: off, x: id });
  }

  /** These records are about to be committed, together and in this order. */
  commit(slices: readonly PendingSlice[]): void {
    // Between commits: the one under way is told by records in a row.
    if (this.#length > LENGTH_MAX) this.#rewrite();
    const x = ++this.#lastCommit;
    for (const { number } of slices) this.#write(KIND.commit, number, { a: slices.length, x });
  }

  end(slice: PendingSlice): void {
    this.#pending.delete(slice.number);
    this.#write(KIND.end, slice.number, {});
  }

  /** Objects are about to be stored that no record refers to, or to be deleted: a successor looks after them. */
  loose(slice: LooseSlice): void {
    this.#loose.set(slice.id, slice);
    this.#writeLoose(slice);
  }

  /** A record refers to them, or they are gone. */
  fixed(id: bigint): void {
    if (this.#loose.delete(id)) this.#write(KIND.fixed, 0, { x: id });
  }

  /** Something of a file could not be stored: a successor tells so who has it open. */
  failed(ino: Ino, errno: number): void {
    this.#failed.set(ino, errno);
    this.#write(KIND.failed, 0, { a: errno, x: ino });
  }

  /** Nobody has the file open any more. */
  forgotten(ino: Ino): void {
    if (this.#failed.delete(ino)) this.#write(KIND.forgotten, 0, { x: ino });
  }

  close(): void {
    closeSync(this.#fd);
  }

  #writeLoose({ id, size, chunk }: LooseSlice): void {
    const fields = { a: size, b: chunk?.chunkIndex ?? 0, x: id, y: chunk?.ino ?? 0n };
    this.#write(KIND.loose, 0, fields);
  }

  #begin({ number, chunkIndex, pos, ino, append }: PendingSlice): void {
    this.#write(KIND.begin, number, { a: chunkIndex, b: pos, x: ino, y: append ? 1n : 0n });
  }

  #grew({ number, length, mtime }: PendingSlice, unique = 0n): void {
    const { sec, nsec } = mtime;
    this.#write(KIND.grew, number, { a: length, b: nsec, x: BigInt(sec), y: unique });
  }

  #write(kind: number, number: number, { a = 0, b = 0, x = 0n, y = 0n }: RecordFields): void {
    const record = this.#record;
    record.writeUInt32LE(kind, 0);
    record.writeDoubleLE(number, 8);
    record.writeUInt32LE(a, 16);
    record.writeUInt32LE(b, 20);
    record.writeBigInt64LE(x, 24);
    record.writeBigUInt64LE(y, 32);
    writeSync(this.#fd, record, 0, RECORD_BYTES, this.#length);
    this.#length += RECORD_BYTES;
  }

  /** Only what is pending still; in another file, so that one of them is always whole. */
  #rewrite(): void {
    const old = this.#fd;
    this.#fd = this.#openNext();
    for (const slice of this.#pending.values()) {
      this.#begin(slice);
      for (const extent of slice.buffer.extents) {
        this.#write(KIND.extent, slice.number, { a: extent.length, x: BigInt(extent.offset) });
      }
      this.#grew(slice);
      if (slice.identity !== undefined) this.identity(slice, slice.identity);
    }
    for (const slice of this.#loose.values()) this.#writeLoose(slice);
    for (const [x, a] of this.#failed) this.#write(KIND.failed, 0, { a, x });
    this.activate(new Set(this.#unanswered));
    closeSync(old);
  }

  #openNext(): number {
    this.#length = 0;
    return openSync(join(this.#folder, NEXT_NAME), "w+", 0o600);
  }
}

/** What the log of an earlier process tells; nothing where there is none. */
export function readJournal(folder: string): Journaled {
  const told = new Telling();
  const bytes = readIfThere(join(folder, FILE_NAME));
  for (let at = 0; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) {
    const number = bytes.readDoubleLE(at + 8);
    told.take(bytes.readUInt32LE(at), number, {
      ...{ a: bytes.readUInt32LE(at + 16), b: bytes.readUInt32LE(at + 20) },
      ...{ x: bytes.readBigInt64LE(at + 24), y: bytes.readBigUInt64LE(at + 32) },
    });
  }
  return told.all();
}

/** What the records read so far amount to. */
class Telling {
  readonly #slices = new Map<number, JournaledSlice>();
  readonly #appends = new Set<bigint>();
  readonly #loose = new Map<bigint, LooseSlice>();
  readonly #failed = new Map<Ino, number>();
  #commit: { number: bigint; count: number; slices: JournaledSlice[] } = NO_COMMIT;

  take(kind: number, number: number, fields: Required<RecordFields>): void {
    if (kind === KIND.begin) this.#slices.set(number, begun(fields));
    else if (kind === KIND.loose) this.#loose.set(fields.x, looseSlice(fields));
    else if (kind === KIND.fixed) this.#loose.delete(fields.x);
    else if (kind === KIND.unanswered) this.#appends.add(fields.y);
    else if (kind === KIND.failed) this.#failed.set(fields.x, fields.a);
    else if (kind === KIND.forgotten) this.#failed.delete(fields.x);
    else this.#takeOfSlice(kind, number, fields);
  }

  all(): Journaled {
    const pending = new Set(this.#slices.values());
    const { count, slices } = this.#commit;
    // One whose records were not all noted down was not sent.
    const underWay = slices.length === count && slices.some((slice) => pending.has(slice));
    return {
      ...{ slices: [...pending], commit: underWay ? slices : [], appends: this.#appends },
      ...{ loose: [...this.#loose.values()], failed: this.#failed },
    };
  }

  #takeOfSlice(kind: number, number: number, fields: Required<RecordFields>): void {
    const slice = this.#slices.get(number);
    if (slice === undefined) return;
    if (kind === KIND.end) this.#slices.delete(number);
    else if (kind === KIND.commit) this.#takeCommit(slice, fields);
    else apply(slice, kind, fields);
    if (kind === KIND.grew && fields.y !== 0n) this.#appends.add(fields.y);
  }

  #takeCommit(slice: JournaledSlice, { a, x }: Required<RecordFields>): void {
    if (x !== this.#commit.number) this.#commit = { number: x, count: a, slices: [] };
    this.#commit.slices.push(slice);
  }
}

function looseSlice({ a, b, x, y }: Required<RecordFields>): LooseSlice {
  return { id: x, size: a, chunk: y === 0n ? undefined : { ino: y, chunkIndex: b } };
}

function begun({ a, b, x, y }: Required<RecordFields>): JournaledSlice {
  return {
    ...{ ino: x, chunkIndex: a, pos: b, append: y === 1n, extents: [], length: 0 },
    ...{ mtime: { sec: 0, nsec: 0 }, identity: undefined },
  };
}

function apply(slice: JournaledSlice, kind: number, { a, b, x }: Required<RecordFields>): void {
  if (kind === KIND.extent) slice.extents.push({ offset: Number(x), length: a });
  if (kind === KIND.grew) {
    slice.length = a;
    slice.mtime = { sec: Number(x), nsec: b };
  }
  if (kind === KIND.identity) slice.identity = { id: x, size: a, off: b };
}

function readIfThere(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}
