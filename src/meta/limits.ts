import type { Ino, NodeType } from "./types.ts";

/** Constants of the format that every layer shares (JuiceFS pkg/meta/interface.go, 1.4). */
export const ROOT_INO: Ino = 1n;
export const TRASH_INO: Ino = 0x7fff_ffff_1000_0000n;
/** Bytes of a file's address space in one chunk. */
export const CHUNK_SIZE = 64 << 20;
export const NAME_MAX = 255;
export const SYMLINK_MAX = 4096;
export const XATTR_NAME_MAX = 255;
export const XATTR_SIZE_MAX = 65536;
/** Files end here: beyond it a JavaScript number and a Lua number are not exact. */
export const FILE_SIZE_MAX = 2 ** 53 - 1;

export const TYPE_FILE: NodeType = 1;
export const TYPE_DIRECTORY: NodeType = 2;
export const TYPE_SYMLINK: NodeType = 3;
export const TYPE_FIFO: NodeType = 4;
export const TYPE_BLOCK_DEVICE: NodeType = 5;
export const TYPE_CHAR_DEVICE: NodeType = 6;
export const TYPE_SOCKET: NodeType = 7;

export const FLAG_IMMUTABLE = 0x01;
export const FLAG_APPEND = 0x02;
export const FLAG_SKIP_TRASH = 0x20;

/** True for the trash root and the hourly folders in it. */
export function isTrash(ino: Ino): boolean {
  return ino >= TRASH_INO;
}

/** Space that `length` bytes are counted with: whole pages, at least one. */
export function align4K(length: number): number {
  return length === 0 ? 4096 : Math.ceil(length / 4096) * 4096;
}
