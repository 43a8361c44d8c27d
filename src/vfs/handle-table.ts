import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import type { Ino } from "../meta/types.ts";

/**
 * Which files are open here, in a file in memory (tmpfs): a process that takes over must know it before the first name is
 * removed, or it deletes a file under its reader. A slot of 32 bytes a handle, little endian: handle, inode, open flags, and who last
 * took a lock through it: one of an open file goes with its last descriptor, which tells no owner.
 */

export interface OpenHandle {
  readonly fh: bigint;
  readonly ino: Ino;
  /** O_* */
  readonly flags: number;
  /** Of the last byte range that was locked through it; 0 where none was. */
  readonly lockOwner?: bigint;
}

const SLOT_BYTES = 32;
const LOCK_OWNER_AT = 24;

export class HandleTable {
  readonly #fd: number;
  readonly #slot = Buffer.alloc(SLOT_BYTES);
  readonly #empty = Buffer.alloc(8);
  readonly #slots = new Map<bigint, number>();
  readonly #free: number[] = [];
  #end = 0;
  /** Never one of a process before: its request to release a handle may come again. */
  #last = BigInt(Date.now()) << 20n;

  /** `handles`: those that are in the file (`readHandles`); they move up, none is missing meanwhile. */
  constructor(path: string, handles: readonly OpenHandle[] = []) {
    this.#fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    for (const handle of handles) this.#write(handle);
    ftruncateSync(this.#fd, this.#end * SLOT_BYTES);
  }

  /** A new handle. */
  opened(ino: Ino, flags: number): bigint {
    const fh = ++this.#last;
    this.#write({ fh, ino, flags });
    return fh;
  }

  closed(fh: bigint): void {
    const slot = this.#slots.get(fh);
    if (slot === undefined) return;
    this.#slots.delete(fh);
    this.#free.push(slot);
    writeSync(this.#fd, this.#empty, 0, this.#empty.length, slot * SLOT_BYTES);
  }

  /** A byte range is locked through a handle. */
  locked(fh: bigint, lockOwner: bigint): void {
    const slot = this.#slots.get(fh);
    if (slot === undefined) return;
    const owner = Buffer.alloc(8);
    owner.writeBigUInt64LE(lockOwner);
    writeSync(this.#fd, owner, 0, owner.length, slot * SLOT_BYTES + LOCK_OWNER_AT);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #write({ fh, ino, flags, lockOwner = 0n }: OpenHandle): void {
    const slot = this.#free.pop() ?? this.#end++;
    this.#slots.set(fh, slot);
    this.#slot.writeBigUInt64LE(fh, 0);
    this.#slot.writeBigUInt64LE(ino, 8);
    this.#slot.writeUInt32LE(flags, 16);
    this.#slot.writeBigUInt64LE(lockOwner, LOCK_OWNER_AT);
    writeSync(this.#fd, this.#slot, 0, SLOT_BYTES, slot * SLOT_BYTES);
  }
}

/** The handles that a process before had open; none where there is no table. */
export function readHandles(path: string): OpenHandle[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  const handles = new Map<bigint, OpenHandle>();
  for (let at = 0; at + SLOT_BYTES <= bytes.length; at += SLOT_BYTES) {
    const fh = bytes.readBigUInt64LE(at);
    if (fh === 0n) continue;
    const [ino, flags] = [bytes.readBigUInt64LE(at + 8), bytes.readUInt32LE(at + 16)];
    handles.set(fh, { fh, ino, flags, lockOwner: bytes.readBigUInt64LE(at + LOCK_OWNER_AT) });
  }
  return [...handles.values()];
}
