import { FsError } from "../base/fs-error.ts";
import type { Maybe } from "../base/maybe.ts";
import { XATTR_NAME_MAX, XATTR_SIZE_MAX } from "../meta/limits.ts";
import type { Attr, AttrChange, Caller, Ino } from "../meta/types.ts";
import type { KnownAttr, SetAttr, SetXattr } from "./file-system.ts";
import type { Xattrs } from "./known-xattrs.ts";
import { attrOut, real, requireWritable, sawAttr, squashed, type VfsParts } from "./parts.ts";

/** Attributes and extended attributes. */

export function getattr(parts: VfsParts, shownIno: Ino): Maybe<KnownAttr> {
  const ino = real(parts, shownIno);
  const attr = parts.known.attr(ino);
  if (attr !== undefined) return attrOut(parts, ino, attr, parts.known.attrs.give(ino));
  return ask(parts, ino);
}

async function ask(parts: VfsParts, ino: Ino): Promise<KnownAttr> {
  const mark = parts.known.mark();
  const attr = await parts.meta.getattr(ino);
  sawAttr(parts, ino, attr);
  return attrOut(parts, ino, attr, parts.known.keepAttr(ino, attr, mark));
}

/** The attributes as they are known, or asked for. */
export function attrOf(parts: VfsParts, ino: Ino): Maybe<Attr> {
  const attr = parts.known.attr(ino);
  if (attr !== undefined) return attr;
  return ask(parts, ino).then((known) => known.attr);
}

export async function setattr(
  parts: VfsParts,
  caller: Caller,
  shownIno: Ino,
  { size, fh: _fh, ...change }: SetAttr,
): Promise<KnownAttr> {
  requireWritable(parts, "setattr");
  const ino = real(parts, shownIno);
  const who = squashed(parts, caller);
  // What is committed later must not overwrite times or a length that are set now.
  await parts.data.flush(ino);
  const mark = parts.known.mark();
  let attr: Attr | undefined;
  if (size !== undefined)
    attr = await truncate(parts, who, ino, { size, kill: change.killSuidGid === true });
  if (attr === undefined || hasMore(change, size))
    attr = await parts.meta.setattr(who, ino, change);
  return attrOut(parts, ino, attr, parts.known.keepAttr(ino, attr, mark));
}

function hasMore(change: AttrChange, size: number | undefined): boolean {
  const { killSuidGid, ...rest } = change;
  return Object.keys(rest).length > 0 || (size === undefined && killSuidGid === true);
}

export async function truncate(
  parts: VfsParts,
  caller: Caller,
  ino: Ino,
  { size, kill }: { size: number; kill: boolean },
): Promise<Attr> {
  const attr = await parts.meta.truncate(caller, ino, size, kill);
  parts.data.invalidate(ino);
  parts.known.sawData(ino, attr);
  return attr;
}

export async function access(
  parts: VfsParts,
  caller: Caller,
  ino: Ino,
  mask: number,
): Promise<void> {
  if ((mask & 2) !== 0) requireWritable(parts, "access");
  const attr = await attrOf(parts, real(parts, ino));
  const { uid, gid } = squashed(parts, caller);
  if (uid === 0) return;
  const shift = attr.uid === uid ? 6 : attr.gid === gid ? 3 : 0;
  if (((attr.mode >> shift) & mask) !== mask) throw new FsError("EACCES", "access");
}

/**
 * Names that need a switch of their own. A program that hears that there cannot be any asks for no other file's; the kernel
 * asks for capabilities itself and wants to hear that there are none.
 */
const CAPABILITY = "security.capability";
const GATED = [
  ...[CAPABILITY, "security.selinux"],
  ...["system.posix_acl_access", "system.posix_acl_default"],
];

export function getxattr(parts: VfsParts, ino: Ino, name: Buffer): Maybe<Buffer> {
  const text = name.toString("latin1");
  if (text === CAPABILITY && parts.options.xattrs) throw new FsError("ENODATA", "getxattr");
  requireXattrs(parts, text);
  const kept = parts.known.xattrs.get(real(parts, ino));
  return kept === undefined ? askXattr(parts, ino, name) : valueOf(kept, text);
}

async function askXattr(parts: VfsParts, ino: Ino, name: Buffer): Promise<Buffer> {
  const values = await xattrsOf(parts, real(parts, ino));
  if (values === undefined) return parts.meta.getxattr(real(parts, ino), name);
  return valueOf(values, name.toString("latin1"));
}

function valueOf(values: Xattrs, name: string): Buffer {
  const value = values.get(name);
  if (value === undefined) throw new FsError("ENODATA", "getxattr");
  return value;
}

/** All that an inode has, asked for once; undefined where that is too much to keep. */
async function xattrsOf(parts: VfsParts, ino: Ino): Promise<Xattrs | undefined> {
  const { known, meta } = parts;
  const kept = known.xattrs.get(ino);
  if (kept !== undefined) return kept;
  const mark = known.mark();
  const values = await meta.xattrs(ino);
  if (values !== undefined) known.xattrs.learn(ino, values, mark);
  return values;
}

export async function listxattr(parts: VfsParts, ino: Ino): Promise<Buffer[]> {
  if (!parts.options.xattrs) throw new FsError("EOPNOTSUPP", "listxattr");
  const values = await xattrsOf(parts, real(parts, ino));
  if (values === undefined) return parts.meta.listxattr(real(parts, ino));
  return [...values.keys()].map((name) => Buffer.from(name, "latin1"));
}

export async function setxattr(
  parts: VfsParts,
  ino: Ino,
  name: Buffer,
  how: SetXattr,
): Promise<void> {
  requireWritable(parts, "setxattr");
  requireXattrs(parts, name.toString("latin1"));
  if (name.length === 0 || how.flags > 2) throw new FsError("EINVAL", "setxattr");
  if (name.length > XATTR_NAME_MAX || how.value.length > XATTR_SIZE_MAX)
    throw new FsError("ERANGE", "setxattr");
  const mark = parts.known.mark();
  await parts.meta.setxattr(real(parts, ino), name, how.value, how.flags);
  parts.known.xattrs.change(real(parts, ino), name.toString("latin1"), how.value, mark);
}

export async function removexattr(parts: VfsParts, ino: Ino, name: Buffer): Promise<void> {
  requireWritable(parts, "removexattr");
  requireXattrs(parts, name.toString("latin1"));
  const mark = parts.known.mark();
  await parts.meta.removexattr(real(parts, ino), name);
  parts.known.xattrs.change(real(parts, ino), name.toString("latin1"), undefined, mark);
}

function requireXattrs(parts: VfsParts, name: string): void {
  if (!parts.options.xattrs || GATED.includes(name)) throw new FsError("EOPNOTSUPP", "xattr");
}
