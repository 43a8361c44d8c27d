import { FsError } from "../base/fs-error.ts";
import type { Maybe } from "../base/maybe.ts";
import {
  isTrash,
  ROOT_INO,
  SYMLINK_MAX,
  TYPE_DIRECTORY,
  TYPE_FILE,
  TYPE_SYMLINK,
} from "../meta/limits.ts";
import type { Changed, Removed } from "../meta/meta.ts";
import type { Caller, Ino, NewNode, NodeType } from "../meta/types.ts";
import { attrOf, getattr } from "./attr-of.ts";
import type { Absent, KnownEntry, MakeNode, RenameNames } from "./file-system.ts";
import type { ReadMark } from "./freshness.ts";
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
import { MAY_SEARCH, MAY_WRITE, requireAccess } from "./permission.ts";

/** Operations on names. What the scripts answer is known at once; nothing is asked for again. */

const RENAME_EXCHANGE = 2;

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
  if (isDot(name)) return lookupSelf(parts, parent);
  if (name.equals(DOT_DOT)) return lookupParent(parts, parent);
  const allowed = requireAccess(parts, caller, parent, MAY_SEARCH);
  if (isTrashName(parts, shownParent, name)) return lookupTrash(parts, caller);
  if (allowed instanceof Promise) return allowed.then(() => find(parts, parent, name));
  return find(parts, parent, name);
}

const DOT_DOT = Buffer.from("..");

function isDot(name: Buffer): boolean {
  return name.length === 1 && name[0] === 0x2e;
}

/** An inode that the kernel knows from a file handle only; not one that was removed, nor one that may lie outside of what is shown. */
async function lookupSelf(parts: VfsParts, ino: Ino): Promise<KnownEntry> {
  if (parts.options.root !== ROOT_INO) throw new FsError("ENOENT", `inode ${ino}`);
  const { attr, attrTtlMs } = await getattr(parts, ino);
  const removed = attr.nlink === 0 || isTrash(attr.parent);
  if (removed && !parts.meta.openFiles.has(ino)) throw new FsError("ENOENT", `inode ${ino}`);
  return entryOut(parts, { ino, attr }, { entry: 0, attr: attrTtlMs });
}

async function lookupParent(parts: VfsParts, ino: Ino): Promise<KnownEntry> {
  const isRoot = ino === parts.options.root;
  return lookupSelf(parts, isRoot ? ino : (await attrOf(parts, ino)).parent);
}

function find(parts: VfsParts, parent: Ino, name: Buffer): Maybe<KnownEntry | Absent> {
  const known = parts.gone.walkedAnew ? undefined : parts.known.lookup(parent, name);
  if (known === undefined) return askOrKeep(parts, parent, name);
  const { ino, attr, entryTtlMs, attrTtlMs } = known;
  if (attr === undefined) return absent(parts, entryTtlMs);
  return entryOut(parts, { ino, attr }, { entry: entryTtlMs, attr: attrTtlMs });
}

/**
 * The kernel takes a failure for the end of a name, and of whatever is mounted there or below. So while the server does
 * not answer a name is left as it was, with no lifetime: who wants to know more asks, and hears that it failed. Of a name
 * that changed the caller is told that he was interrupted: of all errors this one leaves it alone.
 */
async function askOrKeep(parts: VfsParts, parent: Ino, name: Buffer): Promise<KnownEntry | Absent> {
  try {
    return await ask(parts, parent, name);
  } catch (error) {
    if (!(error instanceof FsError) || error.code !== "EIO") throw error;
    const last = parts.known.lastKnown(parent, name);
    if (last !== undefined) return entryOut(parts, last, { entry: 0, attr: 0 });
    if ((parts.known.lastEntry(parent, name) ?? 0n) === 0n) throw error;
    throw new FsError("EINTR", "lookup", { cause: error });
  }
}

async function ask(parts: VfsParts, parent: Ino, name: Buffer): Promise<KnownEntry | Absent> {
  const { data, known, meta } = parts;
  const mark = known.mark();
  const take = data.expectSlices();
  try {
    const entry = await meta.lookup(parent, name);
    if (entry.slices !== undefined) take(entry.ino, entry.slices);
    if (entry.target !== undefined) known.targets.set(entry.ino, entry.target);
    sawAttr(parts, entry.ino, entry.attr);
    const attr = entry.attr.nlink === 0 ? 0 : known.keepAttr(entry.ino, entry.attr, mark);
    const ttl = known.keepEntry(parent, name, entry.ino, mark);
    return entryOut(parts, entry, { entry: ttl, attr });
  } catch (error) {
    if (!(error instanceof FsError) || error.code !== "ENOENT") throw error;
    return absent(parts, known.keepEntry(parent, name, 0n, mark));
  }
}

function absent(parts: VfsParts, entryTtlMs: number): Absent {
  return { ino: 0n, entryTtlMs: parts.options.checks ? 0 : entryTtlMs };
}

async function lookupTrash(parts: VfsParts, caller: Caller): Promise<KnownEntry> {
  if (squashed(parts, caller).uid !== 0) throw new FsError("ENOENT", "lookup");
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

/** Somebody may make and remove a name all the time, elsewhere too. */
const TRIES = 20;

/** A regular file; what is there already is answered unless `exclusive`. */
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
  for (let attempt = 0; attempt < TRIES; attempt++) {
    try {
      const made = { ...node, type: TYPE_FILE };
      return { entry: await make(parts, caller, { parent, name, node: made }), created: true };
    } catch (error) {
      const there = error instanceof FsError && error.code === "EEXIST";
      if (exclusive || !there || isTrashName(parts, parent, name)) throw error;
    }
    const entry = await ask(parts, real(parts, parent), name);
    if ("attr" in entry) return { entry, created: false };
  }
  throw new FsError("ENOENT", "create");
}

/** A file without a name. */
export async function makeNameless(
  parts: VfsParts,
  caller: Caller,
  shownParent: Ino,
  { mode, umask }: Pick<NewNode, "mode" | "umask">,
): Promise<KnownEntry> {
  requireWritable(parts, "tmpfile");
  const parent = real(parts, shownParent);
  await requireAccess(parts, caller, parent, MAY_WRITE | MAY_SEARCH);
  const node = { mode, umask: parts.options.umask ?? umask };
  const mark = parts.known.mark();
  const made = await parts.meta.createNameless(squashed(parts, caller), parent, node);
  return entryOut(parts, made, { entry: 0, attr: parts.known.keepAttr(made.ino, made.attr, mark) });
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
  await requireAccess(parts, caller, parent, MAY_WRITE | MAY_SEARCH);
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
  await requireAccess(parts, caller, parent, MAY_WRITE | MAY_SEARCH);
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
  await requireAccess(parts, caller, parent, MAY_WRITE | MAY_SEARCH);
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
  lostName(parts, removed, mark);
}

/** What became of an inode that lost a name. */
function lostName(
  parts: VfsParts,
  { ino, attr, gone }: Omit<Removed, "parentAttr">,
  mark: ReadMark,
): void {
  if (attr === undefined || gone) parts.known.forgetAttr(ino);
  else parts.known.attrs.learn(ino, attr, mark);
  if (attr !== undefined && gone) parts.gone.removed(ino, attr);
}

export async function rename(parts: VfsParts, caller: Caller, names: RenameNames): Promise<void> {
  requireWritable(parts, "rename");
  requireName(names.toName, "rename");
  const from = real(parts, names.fromParent);
  const to = real(parts, names.toParent);
  if (isTrashName(parts, names.fromParent, names.fromName)) throw new FsError("EPERM", "rename");
  if (isTrashName(parts, names.toParent, names.toName)) throw new FsError("EPERM", "rename");
  await requireAccess(parts, caller, from, MAY_WRITE | MAY_SEARCH);
  await requireAccess(parts, caller, to, MAY_WRITE | MAY_SEARCH);
  if (from !== to) await requireMovable(parts, caller, names);
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
  if (target !== undefined) lostName(parts, target, mark);
  const exchanged = (names.flags & RENAME_EXCHANGE) !== 0 ? target?.ino : undefined;
  known.movedEntry(from, names.fromName, exchanged ?? done.whiteout ?? 0n, mark);
  known.movedEntry(to, names.toName, done.ino, mark);
}

/** A directory that gets another parent is changed itself. */
async function requireMovable(parts: VfsParts, caller: Caller, names: RenameNames): Promise<void> {
  if (!parts.options.checks) return;
  const { fromParent, fromName, toParent, toName, flags } = names;
  const ends = [[fromParent, fromName] as const];
  if ((flags & RENAME_EXCHANGE) !== 0) ends.push([toParent, toName]);
  for (const [parent, name] of ends) {
    const entry = await find(parts, real(parts, parent), name);
    if (!("attr" in entry) || entry.attr.type !== TYPE_DIRECTORY) continue;
    await requireAccess(parts, caller, real(parts, entry.ino), MAY_WRITE);
  }
}
