import type { Ino, NodeType } from "./types.ts";

/** What a field of `d<ino>` holds: 9 bytes, another length makes the Go client panic. */
export interface Dentry {
  readonly type: NodeType;
  readonly ino: Ino;
}

/** @throws RangeError when the record is not 9 bytes with a type from 1 to 7 */
export function decodeDentry(record: Buffer): Dentry {
  const type = record[0] ?? 0;
  if (record.length !== 9 || type < 1 || type > 7) {
    throw new RangeError(`Directory entry of ${record.length} bytes and type ${type}`);
  }
  return { type: type as NodeType, ino: record.readBigUInt64BE(1) };
}

export function encodeDentry({ type, ino }: Dentry): Buffer {
  const record = Buffer.allocUnsafe(9);
  record.writeUInt8(type, 0);
  record.writeBigUInt64BE(ino, 1);
  return record;
}
