import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Maybe } from "../base/maybe.ts";
import { DOTS, numberOf } from "./dir-offsets.ts";
import type { ListedEntry } from "./file-system.ts";

/**
 * What readers were told of long listings, in files in memory (tmpfs), one for each open directory: the order of names is this
 * process's own, and names go meanwhile, so a number alone tells a process that takes over nothing. A record is the number of
 * a name (4 bytes, little endian), its length (1 byte) and the name.
 */

/** The names that readers were told, by their numbers. */
export type Told = ReadonlyMap<number, Buffer>;

const HEAD_BYTES = 5;
/** A listing of so few bytes is taken in one go by any reader: then nothing is left to go on with. */
const SHORT_BYTES = 1024;
/** Of one listing; behind that a successor counts. */
const BYTES_MAX = 32 << 20;

export class ListingNotes {
  readonly #folder: string;
  /** Bytes of each handle's notes; Infinity where they were too many. */
  readonly #bytes = new Map<bigint, number>();

  /** @param folder is made where it is missing */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    // A process before left these; how long they are is known when they are read.
    for (const fh of readdirSync(folder)) this.#bytes.set(BigInt(fh), 1);
  }

  /** Takes down names in the order they are told. `full`: there is more than was told. */
  note(fh: bigint, names: readonly Pick<ListedEntry, "name" | "offset">[], full: boolean): void {
    const records: Buffer[] = [];
    let bytes = this.#bytes.get(fh) ?? 0;
    const before = bytes;
    for (const { name, offset } of names) {
      // An offset is that of the name behind.
      const number = numberOf(offset) - 1;
      if (number < DOTS) continue;
      const head = Buffer.alloc(HEAD_BYTES);
      head.writeUInt32LE(number);
      head.writeUInt8(name.length, HEAD_BYTES - 1);
      records.push(head, name);
      bytes += HEAD_BYTES + name.length;
    }
    if (bytes === before || (before === 0 && !full && bytes < SHORT_BYTES)) return;
    this.#bytes.set(fh, bytes);
    if (bytes > BYTES_MAX || !this.#append(fh, records)) {
      this.forget(fh);
      this.#bytes.set(fh, Infinity);
    }
  }

  /** @returns false where there is no room */
  #append(fh: bigint, records: readonly Buffer[]): boolean {
    try {
      appendFileSync(this.#path(fh), Buffer.concat(records));
      return true;
    } catch {
      return false;
    }
  }

  /** The directory is closed, or read from its start again. */
  forget(fh: bigint): void {
    if (this.#bytes.delete(fh)) rmSync(this.#path(fh), { force: true });
  }

  /** What a process before noted down; undefined where it noted nothing. */
  takeOver(fh: bigint): Told | undefined {
    let bytes: Buffer;
    try {
      bytes = readFileSync(this.#path(fh));
    } catch {
      return undefined;
    }
    this.#bytes.set(fh, bytes.length);
    const told = new Map<number, Buffer>();
    for (let at = 0; at + HEAD_BYTES < bytes.length;) {
      const end = at + HEAD_BYTES + bytes.readUInt8(at + HEAD_BYTES - 1);
      told.set(bytes.readUInt32LE(at), bytes.subarray(at + HEAD_BYTES, end));
      at = end;
    }
    return told;
  }

  #path(fh: bigint): string {
    return join(this.#folder, fh.toString());
  }
}

/** Takes down what a read of a listing tells; before it is answered. */
export function noting(
  notes: ListingNotes,
  fh: bigint,
  emit: (entry: ListedEntry) => boolean,
  read: (emit: (entry: ListedEntry) => boolean) => Maybe<void>,
): Maybe<void> {
  const told: ListedEntry[] = [];
  let full = false;
  const done = read((entry) => {
    full = !emit(entry);
    if (!full) told.push(entry);
    return !full;
  });
  if (!(done instanceof Promise)) {
    notes.note(fh, told, full);
    return undefined;
  }
  return done.then(() => {
    notes.note(fh, told, full);
  });
}
