import { constants } from "node:os";
import { OUT_HEADER_BYTES } from "./abi.ts";
import type { AttrOut, EntryOut, FuseAttr, LockOut, OpenOut, StatfsOut } from "./operations.ts";

/** Answers to bytes, header included. The header's number is copied from the request, with its mark. */

const ENTRY_BYTES = 40;
export const ATTR_BYTES = 88;
export const ENTRY_OUT_BYTES = ENTRY_BYTES + ATTR_BYTES;

/** A reply of `size` bytes behind the header, which is filled in except for the number. */
export function reply(size: number): Buffer {
  const bytes = Buffer.allocUnsafe(OUT_HEADER_BYTES + size);
  bytes.writeUInt32LE(OUT_HEADER_BYTES + size, 0);
  bytes.writeInt32LE(0, 4);
  return bytes;
}

export function encodeError(errno: number): Buffer {
  const bytes = reply(0);
  bytes.writeInt32LE(-errno, 4);
  return bytes;
}

export function encodeNothing(): Buffer {
  return reply(0);
}

export function encodeBytes(data: Uint8Array): Buffer {
  const bytes = reply(data.length);
  bytes.set(data, OUT_HEADER_BYTES);
  return bytes;
}

/** A header for data that follows in views of its own. */
export function encodeViews(views: readonly Uint8Array[]): Uint8Array[] {
  let size = 0;
  for (const view of views) size += view.length;
  const header = reply(0);
  header.writeUInt32LE(OUT_HEADER_BYTES + size, 0);
  return [header, ...views];
}

export function encodeEntry(entry: EntryOut): Buffer {
  const bytes = reply(ENTRY_OUT_BYTES);
  writeEntry(bytes, OUT_HEADER_BYTES, entry);
  return bytes;
}

export function encodeAttr({ attr, attrTtlMs }: AttrOut): Buffer {
  const bytes = reply(16 + ATTR_BYTES);
  writeTtl(bytes, OUT_HEADER_BYTES, OUT_HEADER_BYTES + 8, attrTtlMs);
  bytes.writeUInt32LE(0, OUT_HEADER_BYTES + 12);
  writeAttr(bytes, OUT_HEADER_BYTES + 16, attr);
  return bytes;
}

export function encodeOpen(open: OpenOut): Buffer {
  const bytes = reply(16);
  writeOpen(bytes, OUT_HEADER_BYTES, open);
  return bytes;
}

export function encodeCreate(created: EntryOut & OpenOut): Buffer {
  const bytes = reply(ENTRY_OUT_BYTES + 16);
  writeEntry(bytes, OUT_HEADER_BYTES, created);
  writeOpen(bytes, OUT_HEADER_BYTES + ENTRY_OUT_BYTES, created);
  return bytes;
}

/** What an ioctl answers with success. */
export function encodeIoctl(data: Buffer): Buffer {
  const bytes = reply(16 + data.length).fill(0, OUT_HEADER_BYTES);
  data.copy(bytes, OUT_HEADER_BYTES + 16);
  return bytes;
}

export function encodeWritten(count: number): Buffer {
  const bytes = reply(8);
  bytes.writeUInt32LE(count, OUT_HEADER_BYTES);
  bytes.writeUInt32LE(0, OUT_HEADER_BYTES + 4);
  return bytes;
}

export function encodeOffset(offset: number): Buffer {
  const bytes = reply(8);
  writeU64(bytes, OUT_HEADER_BYTES, offset);
  return bytes;
}

export function encodeStatfs(usage: StatfsOut): Buffer {
  const bytes = reply(80).fill(0, OUT_HEADER_BYTES);
  const at = OUT_HEADER_BYTES;
  writeU64(bytes, at, usage.blocks);
  writeU64(bytes, at + 8, usage.freeBlocks);
  writeU64(bytes, at + 16, usage.freeBlocks);
  writeU64(bytes, at + 24, usage.files);
  writeU64(bytes, at + 32, usage.freeFiles);
  bytes.writeUInt32LE(usage.blockBytes, at + 40);
  bytes.writeUInt32LE(255, at + 44);
  bytes.writeUInt32LE(usage.blockBytes, at + 48);
  return bytes;
}

export function encodeLock(lock: LockOut): Buffer {
  const bytes = reply(24);
  bytes.writeBigUInt64LE(lock.start, OUT_HEADER_BYTES);
  bytes.writeBigUInt64LE(lock.end, OUT_HEADER_BYTES + 8);
  bytes.writeUInt32LE(lock.type, OUT_HEADER_BYTES + 16);
  bytes.writeUInt32LE(lock.pid, OUT_HEADER_BYTES + 20);
  return bytes;
}

/** GETXATTR and LISTXATTR: the size only when the caller's buffer is 0 bytes. */
export function encodeXattr(value: Buffer, capacity: number): Buffer {
  if (capacity === 0) return encodeWritten(value.length);
  if (value.length > capacity) return encodeError(constants.errno.ERANGE);
  return encodeBytes(value);
}

export function writeEntry(bytes: Buffer, at: number, entry: EntryOut): void {
  bytes.writeBigUInt64LE(entry.nodeid, at);
  writeU64(bytes, at + 8, 0);
  writeTtl(bytes, at + 16, at + 32, entry.entryTtlMs);
  writeTtl(bytes, at + 24, at + 36, entry.attrTtlMs);
  writeAttr(bytes, at + ENTRY_BYTES, entry.attr);
}

function writeOpen(bytes: Buffer, at: number, open: OpenOut): void {
  bytes.writeBigUInt64LE(open.fh, at);
  bytes.writeUInt32LE(open.openFlags, at + 8);
  bytes.writeUInt32LE(0, at + 12);
}

function writeAttr(bytes: Buffer, at: number, attr: FuseAttr): void {
  bytes.writeBigUInt64LE(attr.ino, at);
  writeU64(bytes, at + 8, attr.size);
  writeU64(bytes, at + 16, Math.ceil(attr.size / 512));
  writeU64(bytes, at + 24, attr.atime.sec);
  writeU64(bytes, at + 32, attr.mtime.sec);
  writeU64(bytes, at + 40, attr.ctime.sec);
  bytes.writeUInt32LE(attr.atime.nsec, at + 48);
  bytes.writeUInt32LE(attr.mtime.nsec, at + 52);
  bytes.writeUInt32LE(attr.ctime.nsec, at + 56);
  bytes.writeUInt32LE(attr.mode, at + 60);
  bytes.writeUInt32LE(attr.nlink, at + 64);
  bytes.writeUInt32LE(attr.uid, at + 68);
  bytes.writeUInt32LE(attr.gid, at + 72);
  bytes.writeUInt32LE(attr.rdev, at + 76);
  bytes.writeUInt32LE(65536, at + 80);
  bytes.writeUInt32LE(0, at + 84);
}

function writeTtl(bytes: Buffer, secondsAt: number, nanosecondsAt: number, ttlMs: number): void {
  writeU64(bytes, secondsAt, Math.floor(ttlMs / 1000));
  bytes.writeUInt32LE((ttlMs % 1000) * 1e6, nanosecondsAt);
}

/** Negative seconds come out as two's complement. */
function writeU64(bytes: Buffer, at: number, value: number): void {
  const high = Math.floor(value / 2 ** 32);
  bytes.writeUInt32LE(value - high * 2 ** 32, at);
  bytes.writeInt32LE(high, at + 4);
}
