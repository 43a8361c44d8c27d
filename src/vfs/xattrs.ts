import { FsError } from "../base/fs-error.ts";
import type { Maybe } from "../base/maybe.ts";
import { XATTR_NAME_MAX, XATTR_SIZE_MAX } from "../meta/limits.ts";
import type { Attr, Caller, Ino } from "../meta/types.ts";
import { aclKindOf, getAcl, listAcls, setAcl } from "./acls.ts";
import type { SetXattr } from "./file-system.ts";
import type { Xattrs } from "./known-xattrs.ts";
import { real, requireWritable, squashed, type VfsParts } from "./parts.ts";
import { MAY_READ, MAY_WRITE, requireAccess } from "./permission.ts";

/**
 * Extended attributes. Names have the namespaces that a file system of the kernel's knows; what other clients wrote
 * without one can be read and removed.
 */

const NAMESPACES = ["user.", "trusted.", "security."];
/**
 * Names that need a switch of their own. A program that hears that there cannot be any asks for no other file's; the kernel
 * asks for capabilities itself and wants to hear that there are none.
 */
const CAPABILITY = "security.capability";
const SELINUX = "security.selinux";

/** Made once: the kernel asks every new file for its capabilities before it is written to. */
const ABSENT = new FsError("ENODATA", "xattr");
const UNSUPPORTED = new FsError("EOPNOTSUPP", "xattr");

export function getxattr(
  parts: VfsParts,
  caller: Caller,
  shownIno: Ino,
  name: Buffer,
): Maybe<Buffer> {
  requireXattrs(parts);
  const ino = real(parts, shownIno);
  const text = name.toString("latin1");
  const kind = aclKindOf(text);
  if (kind !== undefined) return getAcl(parts, ino, kind);
  if (isOff(parts, text)) throw text === CAPABILITY ? ABSENT : UNSUPPORTED;
  if (parts.options.checks) return getChecked(parts, caller, ino, name);
  const kept = parts.known.xattrs.get(ino);
  return kept === undefined ? askXattr(parts, ino, name) : valueOf(kept, text);
}

async function getChecked(
  parts: VfsParts,
  caller: Caller,
  ino: Ino,
  name: Buffer,
): Promise<Buffer> {
  const text = name.toString("latin1");
  if (text.startsWith("user.")) await requireAccess(parts, caller, ino, MAY_READ);
  if (text.startsWith("trusted.") && squashed(parts, caller).uid !== 0) throw absent(text);
  return askXattr(parts, ino, name);
}

async function askXattr(parts: VfsParts, ino: Ino, name: Buffer): Promise<Buffer> {
  const values = await xattrsOf(parts, ino);
  if (values === undefined) return parts.meta.getxattr(ino, name);
  return valueOf(values, name.toString("latin1"));
}

function valueOf(values: Xattrs, name: string): Buffer {
  const value = values.get(name);
  if (value === undefined) throw absent(name);
  return value;
}

function absent(name: string): FsError {
  return isNamespaced(name) ? ABSENT : UNSUPPORTED;
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

export async function listxattr(parts: VfsParts, caller: Caller, shownIno: Ino): Promise<Buffer[]> {
  requireXattrs(parts);
  const ino = real(parts, shownIno);
  const values = await xattrsOf(parts, ino);
  const names =
    values === undefined
      ? await parts.meta.listxattr(ino)
      : [...values.keys()].map((name) => Buffer.from(name, "latin1"));
  const isRoot = squashed(parts, caller).uid === 0;
  const shownNames = names.filter((name) => {
    const text = name.toString("latin1");
    return !isOff(parts, text) && (isRoot || !text.startsWith("trusted."));
  });
  return [...shownNames, ...(await listAcls(parts, ino))];
}

export async function setxattr(
  parts: VfsParts,
  caller: Caller,
  shownIno: Ino,
  { name, value, flags }: SetXattr & { readonly name: Buffer },
): Promise<void> {
  requireWritable(parts, "setxattr");
  requireXattrs(parts);
  if (name.length === 0 || flags > 2) throw new FsError("EINVAL", "setxattr");
  if (name.length > XATTR_NAME_MAX || value.length > XATTR_SIZE_MAX)
    throw new FsError("ERANGE", "setxattr");
  const ino = real(parts, shownIno);
  const text = name.toString("latin1");
  const kind = aclKindOf(text);
  if (kind !== undefined) {
    await setAcl(parts, caller, ino, { kind, value });
    return;
  }
  if (!isNamespaced(text) || isOff(parts, text)) throw new FsError("EOPNOTSUPP", "setxattr");
  if (NAMESPACES.includes(text)) throw new FsError("EINVAL", "setxattr");
  await requireChangeable(parts, caller, ino, text);
  await change(parts, ino, { name: text, value }, () =>
    parts.meta.setxattr(ino, name, { value, flags }, caller.unique),
  );
}

export async function removexattr(
  parts: VfsParts,
  caller: Caller,
  shownIno: Ino,
  name: Buffer,
): Promise<void> {
  requireWritable(parts, "removexattr");
  requireXattrs(parts);
  const ino = real(parts, shownIno);
  const text = name.toString("latin1");
  const kind = aclKindOf(text);
  if (kind !== undefined) {
    await setAcl(parts, caller, ino, { kind, value: undefined });
    return;
  }
  if (isOff(parts, text)) throw new FsError("EOPNOTSUPP", "removexattr");
  await requireChangeable(parts, caller, ino, text);
  try {
    await remove(parts, ino, name, caller.unique);
  } catch (error) {
    if (!isAbsence(error)) throw error;
    throw absent(text);
  }
}

/** A program that is written to is not the one that was given capabilities. */
export async function dropCapabilities(parts: VfsParts, ino: Ino): Promise<void> {
  if (!parts.options.capabilities) return;
  try {
    await remove(parts, ino, Buffer.from(CAPABILITY));
  } catch (error) {
    if (!isAbsence(error)) throw error;
  }
}

function isAbsence(error: unknown): boolean {
  return error instanceof FsError && error.code === "ENODATA";
}

async function remove(parts: VfsParts, ino: Ino, name: Buffer, unique?: bigint): Promise<void> {
  const gone = { name: name.toString("latin1"), value: undefined };
  await change(parts, ino, gone, () => parts.meta.removexattr(ino, name, unique));
}

async function change(
  parts: VfsParts,
  ino: Ino,
  { name, value }: { name: string; value: Buffer | undefined },
  work: () => Promise<Attr>,
): Promise<void> {
  const mark = parts.known.mark();
  const attr = await work();
  parts.known.xattrs.change(ino, name, value, mark);
  parts.known.attrs.learn(ino, attr, mark);
}

function isNamespaced(name: string): boolean {
  return NAMESPACES.some((namespace) => name.startsWith(namespace));
}

function isOff(parts: VfsParts, name: string): boolean {
  const { capabilities, selinux } = parts.options;
  return (name === CAPABILITY && !capabilities) || (name === SELINUX && !selinux);
}

function requireXattrs(parts: VfsParts): void {
  if (!parts.options.xattrs) throw new FsError("EOPNOTSUPP", "xattr");
}

async function requireChangeable(
  parts: VfsParts,
  caller: Caller,
  ino: Ino,
  name: string,
): Promise<void> {
  if (!parts.options.checks) return;
  if (name.startsWith("user.")) await requireAccess(parts, caller, ino, MAY_WRITE);
  else if (squashed(parts, caller).uid !== 0) throw new FsError("EPERM", "setxattr");
}
