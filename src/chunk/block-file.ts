import { read, readv } from "node:fs";
import { promisify } from "node:util";
import { crc32c } from "../base/crc32c.ts";

/**
 * The file of one block in a cache folder (JuiceFS pkg/chunk/disk_cache.go, 1.4): its plain bytes, then a checksum of each
 * 32 KiB, big endian, or none; what follows is a note for another release.
 */

const UNIT = 32 << 10;
const SUM = 4;

/**
 * When checksums are looked at: never; when the whole block is read; for the units that a request covers; for all units it
 * touches.
 */
export const VERIFY_LEVELS = ["extend", "none", "full", "shrink"] as const;
export type VerifyLevel = (typeof VERIFY_LEVELS)[number];

/** A file that does not hold what its name says. */
export class DamagedBlock extends Error {
  override readonly name = "DamagedBlock";
}

/** An open file of a block of `length` bytes. */
export interface OpenBlock {
  readonly fd: number;
  readonly fileSize: number;
  readonly length: number;
  /** Its checksums, once somebody needed them. */
  sums?: Buffer;
}

export interface BlockRange {
  readonly offset: number;
  readonly length: number;
}

interface ReadInto {
  readonly buffer: Uint8Array;
  readonly offset: number;
  readonly length: number;
  readonly position: number;
}

const readOnce = promisify(read) as (
  fd: number,
  how: ReadInto,
) => Promise<{ readonly bytesRead: number }>;
const readSeveral = promisify(readv) as (
  fd: number,
  into: readonly Uint8Array[],
  position: number,
) => Promise<{ readonly bytesRead: number }>;

/** What stands behind the bytes of a block. */
export function checksumsOf(parts: readonly Uint8Array[]): Buffer {
  const sums: number[] = [];
  let pieces: Uint8Array[] = [];
  let filled = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length;) {
      const count = Math.min(UNIT - filled, part.length - at);
      pieces.push(part.subarray(at, at + count));
      at += count;
      filled += count;
      if (filled < UNIT) continue;
      sums.push(crc32c(pieces));
      pieces = [];
      filled = 0;
    }
  }
  if (filled > 0) sums.push(crc32c(pieces));
  const trailer = Buffer.allocUnsafe(sums.length * SUM);
  for (const [index, sum] of sums.entries()) trailer.writeUInt32BE(sum, index * SUM);
  return trailer;
}

/**
 * Reads a part of a block into `into`, which is as long.
 *
 * @throws DamagedBlock when the file is too short, or a checksum is another one
 */
export async function readBlock(
  file: OpenBlock,
  { offset, length }: BlockRange,
  { verify, into }: { verify: VerifyLevel; into: Uint8Array },
): Promise<void> {
  const whole = offset === 0 && length === file.length;
  if (!hasChecksums(file) || verify === "none" || (verify === "full" && !whole)) {
    await readExactly(file, into, offset);
    return;
  }
  const widened = verify === "extend";
  const from = widened ? Math.floor(offset / UNIT) * UNIT : offset;
  const to = widened ? Math.min(roundUp(offset + length), file.length) : offset + length;
  const direct = from === offset && to === offset + length;
  const data = direct ? into : Buffer.allocUnsafe(to - from);
  await readVerified(file, data, from);
  if (!direct) into.set(data.subarray(offset - from, offset - from + length));
}

/** Reads [from, from + data.length) and checks the units that lie in it. */
async function readVerified(file: OpenBlock, data: Uint8Array, from: number): Promise<void> {
  const to = from + data.length;
  const first = Math.ceil(from / UNIT);
  const end = to === file.length ? Math.ceil(to / UNIT) : Math.floor(to / UNIT);
  // Somebody else may read them meanwhile.
  const known = file.sums;
  const sums = known ?? Buffer.allocUnsafe(Math.ceil(file.length / UNIT) * SUM);
  if (from === 0 && to === file.length) {
    const { bytesRead } = await readSeveral(file.fd, [data, sums], 0);
    if (bytesRead !== data.length + sums.length) throw new DamagedBlock("it ends early");
  } else {
    await readExactly(file, data, from);
    if (known === undefined) await readExactly(file, sums, file.length);
  }
  file.sums = sums;
  for (let unit = first; unit < end; unit++) {
    const at = unit * UNIT - from;
    const found = crc32c([data.subarray(at, Math.min(at + UNIT, data.length))]);
    if (found !== sums.readUInt32BE(unit * SUM)) {
      throw new DamagedBlock(`its bytes from ${unit * UNIT} on are others than were written`);
    }
  }
}

function roundUp(at: number): number {
  return Math.ceil(at / UNIT) * UNIT;
}

/** @throws DamagedBlock where the file's size fits no way to write it */
export function hasChecksums({
  fileSize,
  length,
}: Pick<OpenBlock, "fileSize" | "length">): boolean {
  const extra = fileSize - length;
  const expected = Math.ceil(length / UNIT) * SUM;
  if (extra < 0 || (extra > 0 && extra % SUM === 0 && extra < expected)) {
    throw new DamagedBlock(`it has ${fileSize} bytes, a block of ${length} has more`);
  }
  return extra > 0 && extra % SUM === 0;
}

async function readExactly({ fd }: OpenBlock, into: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < into.length;) {
    const how = { buffer: into, offset: done, length: into.length - done };
    const { bytesRead } = await readOnce(fd, { ...how, position: position + done });
    if (bytesRead === 0) throw new DamagedBlock("it ends early");
    done += bytesRead;
  }
}
