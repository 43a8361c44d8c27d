import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { LRUCache } from "lru-cache";
import { growingCache } from "../base/growing-cache.ts";
import { crc32c } from "../base/crc32c.ts";
import type { ByteRange } from "../object/storage.ts";
import { hasChecksums } from "./block-file.ts";

/**
 * Small parts of blocks that lie plain in a file of this machine, read where they are asked for: when the system has the
 * bytes in memory that takes a few microseconds, a way through another thread twenty times as long. When it has not, the
 * disk is felt at once, and for a while everything goes the other way.
 */

const FILES_MAX = 256;
const PATHS_MAX = 50_000;
/** Nothing larger is read here. */
export const QUICK_BYTES_MAX = 128 << 10;
/** A read that took longer waited for the disk. */
const SLOW_MS = 1;
/** After it, so many times as long nothing is read here. */
const PAUSE_FACTOR = 50;
/** Files stay open so long, in milliseconds: those that somebody else removed take up room as long as they are. */
const OPEN_MS = 60_000;
const UNIT = 32 << 10;
const SUM = 4;
const SCRATCH = Buffer.allocUnsafe(QUICK_BYTES_MAX + 2 * UNIT);

interface OpenFile {
  readonly fd: number;
  /** Of each unit of plain bytes; absent: there are none to check. */
  readonly sums?: Buffer | undefined;
}

/** What is read of a block, and where it is put, which is just as long. */
interface Part {
  readonly range: ByteRange;
  readonly into: Uint8Array;
}

/** Where a block's plain bytes lie. */
export interface BlockFile {
  readonly path: string;
  /** Plain bytes. */
  readonly length: number;
  /** Whether checksums follow them, as cache folders have it. */
  readonly checked: boolean;
}

export class QuickReads {
  readonly #files = new LRUCache<string, OpenFile>({
    max: FILES_MAX,
    dispose: ({ fd }) => {
      closeSync(fd);
    },
  });
  readonly #paths = growingCache<string, BlockFile>(PATHS_MAX);
  readonly #openMs: number;
  #closing: NodeJS.Timeout | undefined;
  #pausedUntil = 0;

  constructor(openMs = OPEN_MS) {
    this.#openMs = openMs;
  }

  /** A block was read from this file. */
  learn(key: string, file: BlockFile): void {
    this.#paths.set(key, file);
  }

  fileOf(key: string): BlockFile | undefined {
    return this.#paths.get(key);
  }

  /** It is gone, or about to go; `path`: where it lies too. */
  forget(key: string, path?: string): void {
    if (path !== undefined) this.#files.delete(path);
    const known = this.#paths.get(key);
    if (known === undefined) return;
    this.#paths.delete(key);
    this.#files.delete(known.path);
  }

  /** Reads a part of a block. @returns false where another way is to be taken */
  read(key: string, file: BlockFile, part: Part): boolean {
    const begun = performance.now();
    if (part.range.length > QUICK_BYTES_MAX || begun < this.#pausedUntil) return false;
    try {
      const open = this.#files.get(file.path) ?? this.#open(file);
      if (open.sums === undefined) readFully(open.fd, part.into, part.range.offset);
      else readChecked(open.fd, open.sums, file.length, part);
      return true;
    } catch {
      // Gone, damaged or never there: whoever looks after the file finds out.
      this.forget(key, file.path);
      return false;
    } finally {
      const took = performance.now() - begun;
      if (took > SLOW_MS) this.#pausedUntil = begun + took * PAUSE_FACTOR;
    }
  }

  close(): void {
    clearTimeout(this.#closing);
    this.#closing = undefined;
    this.#files.clear();
  }

  #open(file: BlockFile): OpenFile {
    const fd = openSync(file.path, "r");
    try {
      const opened = { fd, sums: file.checked ? readSums(fd, file.length) : undefined };
      this.#files.set(file.path, opened);
      this.#closing ??= setTimeout(() => {
        this.close();
      }, this.#openMs).unref();
      return opened;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }
}

/** Reads the units that the part touches, and checks them. */
function readChecked(fd: number, sums: Buffer, fileLength: number, { range, into }: Part): void {
  const { offset, length } = range;
  const from = Math.floor(offset / UNIT) * UNIT;
  const to = Math.min(Math.ceil((offset + length) / UNIT) * UNIT, fileLength);
  const data = SCRATCH.subarray(0, to - from);
  readFully(fd, data, from);
  for (let at = from; at < to; at += UNIT) {
    const unit = data.subarray(at - from, Math.min(at + UNIT, to) - from);
    if (crc32c([unit]) !== sums.readUInt32BE((at / UNIT) * SUM)) {
      throw new Error("The file holds other bytes than were written");
    }
  }
  into.set(data.subarray(offset - from, offset - from + length));
}

/** The checksums behind the plain bytes; undefined where there are none. */
function readSums(fd: number, length: number): Buffer | undefined {
  if (!hasChecksums({ fileSize: fstatSync(fd).size, length })) return undefined;
  const sums = Buffer.allocUnsafe(Math.ceil(length / UNIT) * SUM);
  readFully(fd, sums, length);
  return sums;
}

function readFully(fd: number, into: Uint8Array, position: number): void {
  for (let done = 0; done < into.length;) {
    const count = readSync(fd, into, done, into.length - done, position + done);
    if (count === 0) throw new Error("The file ends early");
    done += count;
  }
}
