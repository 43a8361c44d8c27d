import { FsError } from "../base/fs-error.ts";
import type { Maybe } from "../base/maybe.ts";
import {
  FLAG_APPEND,
  FLAG_IMMUTABLE,
  FLAG_SKIP_TRASH,
  TYPE_DIRECTORY,
  TYPE_FILE,
} from "../meta/limits.ts";
import type { Attr, AttrChange, Caller, Ino } from "../meta/types.ts";
import { attrOf } from "./attr-of.ts";
import type { KnownAttr, SetAttr } from "./file-system.ts";
import { attrOut, real, requireWritable, squashed, type VfsParts } from "./parts.ts";
import { grantedMode, mayAccess, requireChange } from "./permission.ts";

/** Attributes: changed, and checked. */

export async function setattr(
  parts: VfsParts,
  caller: Caller,
  shownIno: Ino,
  { size, fh, ...asked }: SetAttr,
): Promise<KnownAttr> {
  requireWritable(parts, "setattr");
  const ino = real(parts, shownIno);
  const who = squashed(parts, caller);
  // By a descriptor that may be written the length can be changed whatever the mode says.
  await requireChange(parts, caller, ino, { ...asked, size: fh === undefined ? size : undefined });
  // What is committed later must not overwrite times or a length that are set now.
  await parts.data.flush(ino);
  const mark = parts.known.mark();
  const change = await granted(parts, caller, ino, asked);
  let attr: Attr | undefined;
  if (size !== undefined) {
    const how = { killSuidGid: change.killSuidGid === true, byPath: fh === undefined };
    attr = await truncate(parts, who, ino, { size, ...how });
  }
  if (attr === undefined || hasMore(change, size))
    attr = await parts.meta.setattr(who, ino, change);
  return attrOut(parts, ino, attr, parts.known.keepAttr(ino, attr, mark));
}

async function granted(
  parts: VfsParts,
  caller: Caller,
  ino: Ino,
  change: AttrChange,
): Promise<AttrChange> {
  const { mode } = change;
  if (mode === undefined || !parts.options.checks) return change;
  return { ...change, mode: grantedMode(parts, caller, await attrOf(parts, ino), mode) };
}

function hasMore(change: AttrChange, size: number | undefined): boolean {
  const { killSuidGid, ...rest } = change;
  return Object.keys(rest).length > 0 || (size === undefined && killSuidGid === true);
}

export async function truncate(
  parts: VfsParts,
  caller: Caller,
  ino: Ino,
  { size, ...how }: { size: number; killSuidGid: boolean; byPath?: boolean },
): Promise<Attr> {
  const attr = await parts.meta.truncate(caller, ino, size, how);
  parts.data.invalidate(ino);
  parts.known.sawData(ino, attr);
  return attr;
}

/** access(2) where the kernel does not check. */
export async function access(
  parts: VfsParts,
  caller: Caller,
  shownIno: Ino,
  mask: number,
): Promise<void> {
  if ((mask & 2) !== 0) requireWritable(parts, "access");
  const attr = await attrOf(parts, real(parts, shownIno));
  const who = squashed(parts, caller);
  // Who may everything still executes only what somebody may execute.
  const executes = (mask & 1) !== 0 && attr.type === TYPE_FILE;
  const nobody = executes && who.uid === 0 && (attr.mode & 0o111) === 0;
  if (nobody || !(await mayAccess(parts, who, attr, mask))) throw new FsError("EACCES", "access");
}

/** FLAG_* that chattr(1) can set. */
const SETTABLE = FLAG_IMMUTABLE | FLAG_APPEND | FLAG_SKIP_TRASH;
const ROOTS_ALONE = FLAG_IMMUTABLE | FLAG_APPEND;

/** @throws FsError ENOTTY where it is switched off */
export function getFlags(parts: VfsParts, shownIno: Ino): Maybe<number> {
  if (!parts.options.ioctl) throw new FsError("ENOTTY", "lsattr");
  const attr = attrOf(parts, real(parts, shownIno));
  return attr instanceof Promise ? attr.then(({ flags }) => flags) : attr.flags;
}

/** @throws FsError EPERM, EOPNOTSUPP (neither file nor directory) */
export async function setFlags(
  parts: VfsParts,
  caller: Caller,
  shownIno: Ino,
  wanted: number,
): Promise<void> {
  requireWritable(parts, "chattr");
  const ino = real(parts, shownIno);
  const attr = await attrOf(parts, ino);
  if (attr.type !== TYPE_FILE && attr.type !== TYPE_DIRECTORY) {
    throw new FsError("EOPNOTSUPP", "chattr");
  }
  const who = squashed(parts, caller);
  const flags = (attr.flags & ~SETTABLE) | (wanted & SETTABLE);
  const rootsAlone = ((flags ^ attr.flags) & ROOTS_ALONE) !== 0;
  if (who.uid !== 0 && (rootsAlone || who.uid !== attr.uid)) throw new FsError("EPERM", "chattr");
  // What was written before is stored before nothing can be written any more.
  await parts.data.flush(ino);
  const mark = parts.known.mark();
  // The kernel takes no new time of the change from an ioctl.
  parts.known.committed(ino, await parts.meta.setattr(who, ino, { flags }), mark);
}
