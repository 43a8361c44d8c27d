import type { Slice } from "./types.ts";

/** Bytes of one record in the list `c<ino>_<indx>`. */
export const SLICE_BYTES = 24;

/** @throws RangeError when the record is not 24 bytes */
export function decodeSlice(record: Buffer): Slice {
  if (record.length !== SLICE_BYTES) throw new RangeError(`Slice record of ${record.length} bytes`);
  return {
    pos: record.readUInt32BE(0),
    id: record.readBigUInt64BE(4),
    size: record.readUInt32BE(12),
    off: record.readUInt32BE(16),
    len: record.readUInt32BE(20),
  };
}

export function encodeSlice(slice: Slice): Buffer {
  const record = Buffer.allocUnsafe(SLICE_BYTES);
  record.writeUInt32BE(slice.pos, 0);
  record.writeBigUInt64BE(slice.id, 4);
  record.writeUInt32BE(slice.size, 12);
  record.writeUInt32BE(slice.off, 16);
  record.writeUInt32BE(slice.len, 20);
  return record;
}
