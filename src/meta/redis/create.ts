import type { Changed } from "../meta.ts";
import type { Caller, Entry, Ino, NewNode } from "../types.ts";
import type { MetaContext } from "./context.ts";
import { attr, list, text } from "./reply.ts";

/** Making names: one script each. */

export async function create(
  context: MetaContext,
  caller: Caller,
  parent: Ino,
  { name, node }: { name: Buffer; node: NewNode },
): Promise<Changed> {
  const ino = await context.counters.nextInode();
  const { Capacity, Inodes } = context.format();
  const reply = await context.answers.change(
    "create",
    [`d${parent}`, `i${parent}`, `i${ino}`, `s${ino}`],
    [
      ...[parent.toString(), name, ino.toString(), node.type, node.mode, node.umask],
      ...[caller.uid, caller.gid, node.rdev ?? 0, node.target ?? "", Capacity, Inodes],
    ],
    caller.unique,
  );
  // What a process before made has the number that it drew.
  const [own, parentAttr, made] = list(reply);
  return { ino: BigInt(text(made)), attr: attr(own), parentAttr: attr(parentAttr) };
}

/** A file without a name, kept until its last close or until `link` gives it one. */
export async function createNameless(
  context: MetaContext,
  caller: Caller,
  parent: Ino,
  { mode, umask }: Pick<NewNode, "mode" | "umask">,
): Promise<Entry> {
  const ino = await context.counters.nextInode();
  const { Capacity, Inodes } = context.format();
  const reply = await context.answers.change(
    "tmpfile",
    [`i${parent}`, `i${ino}`, `session${context.sid}`],
    [
      ...[parent.toString(), ino.toString(), mode, umask, caller.uid, caller.gid],
      ...[Capacity, Inodes],
    ],
    caller.unique,
  );
  const [own, made] = list(reply);
  return { ino: BigInt(text(made)), attr: attr(own) };
}

export async function link(
  context: MetaContext,
  caller: Caller,
  ino: Ino,
  { parent, name }: { parent: Ino; name: Buffer },
): Promise<Changed> {
  const reply = await context.answers.change(
    "link",
    [`d${parent}`, `i${parent}`, `i${ino}`, `p${ino}`, `session${context.sid}`, "allSessions"],
    [parent.toString(), name, ino.toString()],
    caller.unique,
  );
  const [own, parentAttr] = list(reply);
  return { ino, attr: attr(own), parentAttr: attr(parentAttr) };
}
