import { OUT_HEADER_BYTES } from "./abi.ts";
import { ENTRY_OUT_BYTES, writeEntry } from "./encode.ts";
import type { DirEntryOut, DirReply, EntryOut } from "./operations.ts";

/** Bytes of `fuse_dirent` before the name: inode, offset, length of the name, type. */
const DIRENT_BYTES = 24;

const NO_ENTRY: EntryOut = {
  nodeid: 0n,
  entryTtlMs: 0,
  attrTtlMs: 0,
  attr: {
    ...{ ino: 0n, size: 0, mode: 0, nlink: 0, uid: 0, gid: 0, rdev: 0 },
    ...{ atime: { sec: 0, nsec: 0 }, mtime: { sec: 0, nsec: 0 }, ctime: { sec: 0, nsec: 0 } },
  },
};

/** Packs directory entries, plain or with attributes, into a reply of bounded size. */
export class DirentReply implements DirReply {
  readonly plus: boolean;
  readonly #bytes: Buffer;
  #length = OUT_HEADER_BYTES;

  constructor(capacity: number, plus: boolean) {
    this.plus = plus;
    this.#bytes = Buffer.allocUnsafe(OUT_HEADER_BYTES + capacity);
  }

  add(entry: DirEntryOut): boolean {
    const head = this.plus ? ENTRY_OUT_BYTES : 0;
    const size = head + ((DIRENT_BYTES + entry.name.length + 7) & ~7);
    const at = this.#length;
    if (at + size > this.#bytes.length) return false;
    if (this.plus) writeEntry(this.#bytes, at, entry.entry ?? NO_ENTRY);
    const dirent = at + head;
    this.#bytes.writeBigUInt64LE(entry.ino, dirent);
    this.#bytes.writeBigUInt64LE(entry.offset, dirent + 8);
    this.#bytes.writeUInt32LE(entry.name.length, dirent + 16);
    this.#bytes.writeUInt32LE(entry.type, dirent + 20);
    this.#bytes.fill(0, dirent + DIRENT_BYTES + entry.name.length, at + size);
    entry.name.copy(this.#bytes, dirent + DIRENT_BYTES);
    this.#length += size;
    return true;
  }

  /** The reply, header included. */
  finish(): Buffer {
    const bytes = this.#bytes.subarray(0, this.#length);
    bytes.writeUInt32LE(this.#length, 0);
    bytes.writeInt32LE(0, 4);
    return bytes;
  }
}
