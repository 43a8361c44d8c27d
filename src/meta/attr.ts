import type { Attr, NodeType, Time } from "./types.ts";

/**
 * The record `i<ino>`: 72 bytes, or 80 with ACL ids, 73 or 81 with a tier. One byte more than is
 * filled is always written, as the Go client does (JuiceFS pkg/meta/base.go, 1.4).
 */

const PLAIN_BYTES = 71;

/** @throws RangeError when the record is shorter than the earliest releases wrote it */
export function decodeAttr(record: Buffer): Attr {
  if (record.length < 63) throw new RangeError(`Attribute record of ${record.length} bytes`);
  const typeMode = record.readUInt16BE(1);
  const acl = record.length >= PLAIN_BYTES + 8;
  const tierAt = acl ? PLAIN_BYTES + 8 : PLAIN_BYTES;
  return {
    flags: record.readUInt8(0),
    type: (typeMode >> 12) as NodeType,
    mode: typeMode & 0xfff,
    uid: record.readUInt32BE(3),
    gid: record.readUInt32BE(7),
    atime: decodeTime(record, 11),
    mtime: decodeTime(record, 23),
    ctime: decodeTime(record, 35),
    nlink: record.readUInt32BE(47),
    length: decodeNumber(record, 51),
    rdev: record.readUInt32BE(59),
    parent: record.length >= PLAIN_BYTES ? record.readBigUInt64BE(63) : 0n,
    accessAcl: acl ? record.readUInt32BE(PLAIN_BYTES) : 0,
    defaultAcl: acl ? record.readUInt32BE(PLAIN_BYTES + 4) : 0,
    tier: record.length > tierAt ? record.readUInt8(tierAt) : 0,
  };
}

/** Bytes of the record, for an inode that is made here; scripts change records in place. */
export function encodeAttr(attr: Attr): Buffer {
  const acl = attr.accessAcl !== 0 || attr.defaultAcl !== 0;
  const record = Buffer.alloc(PLAIN_BYTES + 1 + (acl ? 8 : 0) + (attr.tier === 0 ? 0 : 1));
  record.writeUInt8(attr.flags, 0);
  record.writeUInt16BE((attr.type << 12) | (attr.mode & 0xfff), 1);
  record.writeUInt32BE(attr.uid, 3);
  record.writeUInt32BE(attr.gid, 7);
  encodeTime(record, 11, attr.atime);
  encodeTime(record, 23, attr.mtime);
  encodeTime(record, 35, attr.ctime);
  record.writeUInt32BE(attr.nlink, 47);
  record.writeBigUInt64BE(BigInt(attr.length), 51);
  record.writeUInt32BE(attr.rdev, 59);
  record.writeBigUInt64BE(attr.parent, 63);
  if (acl) {
    record.writeUInt32BE(attr.accessAcl, PLAIN_BYTES);
    record.writeUInt32BE(attr.defaultAcl, PLAIN_BYTES + 4);
  }
  if (attr.tier !== 0) record.writeUInt8(attr.tier, PLAIN_BYTES + (acl ? 8 : 0));
  return record;
}

function decodeTime(record: Buffer, at: number): Time {
  return {
    sec: record.readInt32BE(at) * 2 ** 32 + record.readUInt32BE(at + 4),
    nsec: record.readUInt32BE(at + 8),
  };
}

function encodeTime(record: Buffer, at: number, time: Time): void {
  record.writeBigInt64BE(BigInt(time.sec), at);
  record.writeUInt32BE(time.nsec, at + 8);
}

function decodeNumber(record: Buffer, at: number): number {
  return record.readUInt32BE(at) * 2 ** 32 + record.readUInt32BE(at + 4);
}
