import { FsError } from "../base/fs-error.ts";
import { NAME_MAX, ROOT_INO, TRASH_INO } from "../meta/limits.ts";
import type { Meta } from "../meta/meta.ts";
import type { Attr, Caller, Ino, Time } from "../meta/types.ts";
import type { AclRules } from "./acls.ts";
import type { FileData } from "./file-data.ts";
import type { KernelCaches, KnownAttr, KnownEntry } from "./file-system.ts";
import type { Gone } from "./gone.ts";
import type { HandleTable } from "./handle-table.ts";
import type { ListingNotes } from "./listing-notes.ts";
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
  /** Extended attributes of the kernel's that are asked for at every turn unless they are off. */
  readonly capabilities: boolean;
  readonly selinux: boolean;
  /** An open does not ask whether others changed something when that was heard so lately; 0: it always does. */
  readonly openCacheMs: number;
  /** Flags can be asked for and set as chattr(1) does. */
  readonly ioctl: boolean;
  /** When reading is noted: never, once after each change, or whenever a second has passed. */
  readonly atime: "noatime" | "relatime" | "strictatime";
  /** The kernel lets everything pass: the mount checks by itself. */
  readonly checks: boolean;
  /** Instead of the caller's own. */
  readonly umask?: number | undefined;
}

/** What the operations of one mount work with. */
export interface VfsParts {
  readonly meta: Meta;
  readonly data: FileData;
  readonly known: Known;
  readonly handles: HandleTable;
  readonly listingNotes: ListingNotes;
  readonly acls: AclRules;
  readonly gone: Gone;
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
  const other = allSquash ?? (caller.uid === 0 ? rootSquash : undefined);
  if (other === undefined) return caller;
  const { pid, unique } = caller;
  return { ...other, pid, unique, groups: [other.gid] };
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
  const ctime = isLater(attr.ctime, mtime) ? attr.ctime : mtime;
  return { ino: shown(parts, ino), attr: { ...attr, length, mtime, ctime }, attrTtlMs: 0 };
}

function isLater(one: Time, other: Time): boolean {
  return one.sec > other.sec || (one.sec === other.sec && one.nsec > other.nsec);
}

export function entryOut(
  parts: VfsParts,
  entry: { ino: Ino; attr: Attr },
  ttl: { entry: number; attr: number },
): KnownEntry {
  // Where the kernel does not check, each walk through a name is asked for, and checked here.
  const entryTtlMs = parts.options.checks ? 0 : ttl.entry;
  return { ...attrOut(parts, entry.ino, entry.attr, ttl.attr), entryTtlMs };
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
