import { FsError } from "../base/fs-error.ts";
import type { Maybe } from "../base/maybe.ts";
import { SYMLINK_MAX, TYPE_DIRECTORY, TYPE_FILE, TYPE_SYMLINK } from "../meta/limits.ts";
import type { Changed, Removed } from "../meta/meta.ts";
import type { Caller, Ino, NewNode, NodeType } from "../meta/types.ts";
import type { Absent, KnownEntry, MakeNode, RenameNames } from "./file-system.ts";
import {
  entryOut,
  isTrashName,
  real,
  requireName,
  requireWritable,
  sawAttr,
  squashed,
  TRASH_ENTRY,
  type VfsParts,
} from "./parts.ts";

/** Operations on names. What the scripts answer is known at once; nothing is asked for again. */

/** Type bits of mknod(2) and what the format calls them. */
const TYPES: Readonly<Record<number, NodeType>> = {
  0o000000: 1,
  0o100000: 1,
  0o010000: 4,
  0o060000: 5,
  0o020000: 6,
  0o140000: 7,
};

export function lookup(
  parts: VfsParts,
  caller: Caller,
  shownParent: Ino,
  name: Buffer,
): Maybe<KnownEntry | Absent> {
  requireName(name, "lookup");
  const parent = real(parts, shownParent);
  if (isTrashName(parts, shownParent, name)) return lookupTrash(parts, caller);
  const known = parts.known.lookup(parent, name);
  if (known === undefined) return askOrKeep(parts, parent, name);
  const { ino, attr, entryTtlMs, attrTtlMs } = known;
  if (attr === undefined) return { ino: 0n, entryTtlMs };
  return entryOut(parts, { ino, attr }, { entry: entryTtlMs, attr: attrTtlMs });
}

/**
 * The kernel takes a failure for the end of a name, and of whatever is mounted there or below. So while the server does
 * not answer a name is left as it was, with no lifetime: who wants to know more asks, and hears that it failed.
 */
async function askOrKeep(parts: VfsParts, parent: Ino, name: Buffer): Promise<KnownEntry | Absent> {
  try {
    return await ask(parts, parent, name);
  } catch (error) {
    const last = parts.known.lastKnown(parent, name);
    if (last === undefined || !(error instanceof FsError) || error.code !== "EIO") throw error;
    return entryOut(parts, last, { entry: 0, attr: 0 });
  }
}

async function ask(parts: VfsParts, parent: Ino, name: Buffer): Promise<KnownEntry | Absent> {
  const { known, meta } = parts;
  const mark = known.mark();
  try {
    const entry = await meta.lookup(parent, name);
    sawAttr(parts, entry.ino, entry.attr);
    const attr = entry.attr.nlink === 0 ? 0 : known.keepAttr(entry.ino, entry.attr, mark);
    const ttl = known.keepEntry(parent, name, entry.ino, mark);
    return entryOut(parts, entry, { entry: ttl, attr });
  } catch (error) {
    if (!(error instanceof FsError) || error.code !== "ENOENT") throw error;
    return { ino: 0n, entryTtlMs: known.keepEntry(parent, name, 0n, mark) };
  }
}

async function lookupTrash(parts: VfsParts, caller: Caller): Promise<KnownEntry> {
  if (caller.uid !== 0) throw new FsError("ENOENT", "lookup");
  const attr = await parts.meta.getattr(TRASH_ENTRY.ino);
  return entryOut(parts, { ino: TRASH_ENTRY.ino, attr }, { entry: 0, attr: 0 });
}

export function mknod(
  parts: VfsParts,
  caller: Caller,
  { parent, name, node }: { parent: Ino; name: Buffer; node: MakeNode },
): Promise<KnownEntry> {
  const type = TYPES[node.mode & 0o170000];
  if (type === undefined) throw new FsError("EINVAL", "mknod");
  const { mode, umask, rdev } = node;
  return make(parts, caller, { parent, name, node: { type, mode: mode & 0o7777, umask, rdev } });
}

export function mkdir(
  parts: VfsParts,
  caller: Caller,
  { parent, name, mode, umask }: { parent: Ino; name: Buffer; mode: number; umask: number },
): Promise<KnownEntry> {
  const node: NewNode = { type: TYPE_DIRECTORY, mode: mode & 0o7777, umask };
  return make(parts, caller, { parent, name, node });
}

export function symlink(
  parts: VfsParts,
  caller: Caller,
  { parent, name, target }: { parent: Ino; name: Buffer; target: Buffer },
): Promise<KnownEntry> {
  if (target.length >= SYMLINK_MAX) throw new FsError("ENAMETOOLONG", "symlink");
  if (target.length === 0) throw new FsError("ENOENT", "symlink");
  const node: NewNode = { type: TYPE_SYMLINK, mode: 0o777, umask: 0, target };
  return make(parts, caller, { parent, name, node });
}

/** A regular file; one that is there already is answered unless `exclusive`. */
export async function makeFile(
  parts: VfsParts,
  caller: Caller,
  {
    parent,
    name,
    node,
    exclusive,
  }: { parent: Ino; name: Buffer; node: Omit<NewNode, "type">; exclusive: boolean },
): Promise<{ entry: KnownEntry; created: boolean }> {
  try {
    const entry = await make(parts, caller, { parent, name, node: { ...node, type: TYPE_FILE } });
    return { entry, created: true };
  } catch (error) {
    if (exclusive || !(error instanceof FsError) || error.code !== "EEXIST") throw error;
  }
  const entry = await ask(parts, real(parts, parent), name);
  if (entry.ino === 0n) throw new FsError("ENOENT", "create");
  return { entry: entry as KnownEntry, created: false };
}

async function make(
  parts: VfsParts,
  caller: Caller,
  { parent: shownParent, name, node }: { parent: Ino; name: Buffer; node: NewNode },
): Promise<KnownEntry> {
  requireWritable(parts, "create");
  requireName(name, "create");
  if (isTrashName(parts, shownParent, name)) throw new FsError("EEXIST", "create");
  const parent = real(parts, shownParent);
  const umask = parts.options.umask ?? node.umask;
  const mark = parts.known.mark();
  const made = await parts.meta.create(squashed(parts, caller), parent, name, { ...node, umask });
  if (node.type === TYPE_DIRECTORY) parts.known.names.made(made.ino, mark);
  if (node.target !== undefined) parts.known.targets.set(made.ino, node.target);
  return learn(parts, { parent, name, made, mark });
}

export async function link(
  parts: VfsParts,
  caller: Caller,
  { ino, parent: shownParent, name }: { ino: Ino; parent: Ino; name: Buffer },
): Promise<KnownEntry> {
  requireWritable(parts, "link");
  requireName(name, "link");
  if (isTrashName(parts, shownParent, name)) throw new FsError("EEXIST", "link");
  const parent = real(parts, shownParent);
  await parts.data.flush(ino);
  const mark = parts.known.mark();
  const made = await parts.meta.link(squashed(parts, caller), ino, parent, name);
  return learn(parts, { parent, name, made, mark });
}

function learn(
  parts: VfsParts,
  { parent, name, made, mark }: { parent: Ino; name: Buffer; made: Changed; mark: number },
): KnownEntry {
  const { known } = parts;
  known.attrs.learn(parent, made.parentAttr, mark);
  const attr = known.keepAttr(made.ino, made.attr, mark);
  const entry = known.changedEntry(parent, name, made.ino, mark);
  if (made.attr.type === TYPE_FILE) known.sawData(made.ino, made.attr);
  return entryOut(parts, made, { entry, attr });
}

export async function remove(
  parts: VfsParts,
  caller: Caller,
  { parent: shownParent, name, directory }: { parent: Ino; name: Buffer; directory: boolean },
): Promise<void> {
  const action = directory ? "rmdir" : "unlink";
  requireWritable(parts, action);
  requireName(name, action);
  if (isTrashName(parts, shownParent, name)) throw new FsError("EPERM", action);
  const parent = real(parts, shownParent);
  const { known, meta } = parts;
  const believed = known.lastEntry(parent, name);
  const mark = known.mark();
  const who = squashed(parts, caller);
  const removed: Removed = await (directory
    ? meta.rmdir(who, parent, name, believed)
    : meta.unlink(who, parent, name, believed));
  known.attrs.learn(parent, removed.parentAttr, mark);
  known.movedEntry(parent, name, 0n, mark);
  if (directory) known.names.forget(removed.ino);
  if (removed.attr === undefined) known.forgetAttr(removed.ino);
  else known.attrs.learn(removed.ino, removed.attr, mark);
}

export async function rename(parts: VfsParts, caller: Caller, names: RenameNames): Promise<void> {
  requireWritable(parts, "rename");
  requireName(names.toName, "rename");
  const from = real(parts, names.fromParent);
  const to = real(parts, names.toParent);
  if (isTrashName(parts, names.fromParent, names.fromName)) throw new FsError("EPERM", "rename");
  if (isTrashName(parts, names.toParent, names.toName)) throw new FsError("EPERM", "rename");
  const { known, meta } = parts;
  const mark = known.mark();
  const done = await meta.rename(squashed(parts, caller), {
    ...{ fromParent: from, fromName: names.fromName, toParent: to, toName: names.toName },
    flags: names.flags,
    knownFrom: known.lastEntry(from, names.fromName),
    knownTo: known.lastEntry(to, names.toName),
  });
  known.attrs.learn(from, done.fromParentAttr, mark);
  known.attrs.learn(to, done.toParentAttr, mark);
  known.attrs.learn(done.ino, done.attr, mark);
  const { target } = done;
  if (target !== undefined && target.ino === done.ino) return;
  const exchanged = (names.flags & 2) !== 0 && target !== undefined;
  if (target?.attr === undefined) known.forgetAttr(target?.ino ?? 0n);
  else known.attrs.learn(target.ino, target.attr, mark);
  known.movedEntry(from, names.fromName, exchanged ? target.ino : 0n, mark);
  known.movedEntry(to, names.toName, done.ino, mark);
}
