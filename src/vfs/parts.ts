import { FsError } from "../base/fs-error.ts";
import { NAME_MAX, ROOT_INO, TRASH_INO } from "../meta/limits.ts";
import type { Meta } from "../meta/meta.ts";
import type { Attr, Caller, Ino } from "../meta/types.ts";
import type { FileData } from "./file-data.ts";
import type { KernelCaches, KnownAttr, KnownEntry } from "./file-system.ts";
import type { HandleTable } from "./handle-table.ts";
import type { Known } from "./known.ts";

/** How a volume is shown. */
export interface VfsOptions {
  readonly readOnly: boolean;
  /** The inode shown as the root: the volume's, or that of `--subdir`. */
  readonly root: Ino;
  /** Every caller, or root, becomes somebody else. */
  readonly allSquash?: { readonly uid: number; readonly gid: number } | undefined;
  readonly rootSquash?: { readonly uid: number; readonly gid: number } | undefined;
  readonly xattrs: boolean;
  /** Instead of the caller's own. */
  readonly umask?: number | undefined;
}

/** What the operations of one mount work with. */
export interface VfsParts {
  readonly meta: Meta;
  readonly data: FileData;
  readonly known: Known;
  readonly handles: HandleTable;
  readonly options: VfsOptions;
  kernel: KernelCaches | undefined;
}

const TRASH_NAME = Buffer.from(".trash");

/** Inode 1 is the root that is shown. */
export function real(parts: VfsParts, ino: Ino): Ino {
  return ino === ROOT_INO ? parts.options.root : ino;
}

/** The other way round: what the kernel knows an inode as. */
export function shown(parts: VfsParts, ino: Ino): Ino {
  return ino === parts.options.root ? ROOT_INO : ino;
}

/** The caller as the volume sees him. */
export function squashed(parts: VfsParts, caller: Caller): Caller {
  const { allSquash, rootSquash } = parts.options;
  if (allSquash !== undefined) return { ...caller, ...allSquash };
  return rootSquash !== undefined && caller.uid === 0 ? { ...caller, ...rootSquash } : caller;
}

/** @throws FsError EROFS */
export function requireWritable(parts: VfsParts, action: string): void {
  if (parts.options.readOnly) throw new FsError("EROFS", action);
}

/** @throws FsError ENAMETOOLONG */
export function requireName(name: Buffer, action: string): void {
  if (name.length > NAME_MAX) throw new FsError("ENAMETOOLONG", action);
}

/** True for the volume's trash, which is no entry of the root but can be walked into. */
export function isTrashName(parts: VfsParts, parent: Ino, name: Buffer): boolean {
  return parent === ROOT_INO && parts.options.root === ROOT_INO && name.equals(TRASH_NAME);
}

export const TRASH_ENTRY = { name: TRASH_NAME, ino: TRASH_INO };

/** Attributes as the kernel is to see them: with what is written here and not committed yet, which is kept by nobody. */
export function attrOut(parts: VfsParts, ino: Ino, attr: Attr, ttlMs: number): KnownAttr {
  const mtime = parts.data.pendingMtime(ino);
  if (mtime === undefined) return { ino: shown(parts, ino), attr, attrTtlMs: ttlMs };
  const length = parts.data.length(ino, attr.length);
  return { ino: shown(parts, ino), attr: { ...attr, length, mtime, ctime: mtime }, attrTtlMs: 0 };
}

export function entryOut(
  parts: VfsParts,
  entry: { ino: Ino; attr: Attr },
  ttl: { entry: number; attr: number },
): KnownEntry {
  return { ...attrOut(parts, entry.ino, entry.attr, ttl.attr), entryTtlMs: ttl.entry };
}

/** Attributes that the server told: changed data is dropped here and in the kernel. */
export function sawAttr(parts: VfsParts, ino: Ino, attr: Attr): void {
  if (
    attr.type === 1 &&
    parts.data.pendingMtime(ino) === undefined &&
    parts.known.sawData(ino, attr)
  ) {
    parts.data.invalidate(ino);
    parts.kernel?.dataChanged(ino);
  }
}
