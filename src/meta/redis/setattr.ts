import type { Attr, AttrChange, Caller, Ino, Time } from "../types.ts";
import type { MetaContext } from "./context.ts";
import { attr } from "./reply.ts";
import type { Argument } from "./script-call.ts";

export async function setattr(
  context: MetaContext,
  caller: Caller,
  ino: Ino,
  change: AttrChange,
): Promise<Attr> {
  const reply = await context.answers.change(
    "setattr",
    [`i${ino}`],
    [
      ...[ino.toString(), caller.uid, change.mode ?? "", change.uid ?? "", change.gid ?? ""],
      ...[time(change.atime), time(change.mtime), change.flags ?? ""],
      ...[how(context, ino, change), groupList(caller, change)],
    ],
    // The same request may have changed the length before, under its own number.
    caller.unique === undefined ? undefined : `attr ${caller.unique}`,
  );
  return attr(reply);
}

function how(context: MetaContext, ino: Ino, { killSuidGid, sameOwners }: AttrChange): string {
  const kind = (killSuidGid === true ? "k" : "") + (sameOwners === true ? "c" : "");
  return kind + (context.openFiles.has(ino) ? "o" : "");
}

/** Only a change of owner by somebody else than root asks for the groups, and they are not there for nothing. */
function groupList(caller: Caller, { uid, gid, sameOwners }: AttrChange): string {
  return uid === undefined && gid === undefined && sameOwners !== true ? "" : groupsOf(caller);
}

/** The caller's groups as scripts search them: each behind a comma. */
export function groupsOf(caller: Caller): string {
  if (caller.uid === 0) return "";
  return (caller.groups ?? [caller.gid]).map((gid) => `,${gid}`).join("");
}

/** Notes that an inode was read; `relative`: only where that was not known since its last change. */
export async function touchAtime(context: MetaContext, ino: Ino, relative: boolean): Promise<Attr> {
  const args = [ino.toString(), relative ? 1 : 0];
  return attr(await context.answers.change("atime", [`i${ino}`], args));
}

/** Twelve bytes as the record has them. */
export function packTime({ sec, nsec }: Time): Buffer {
  const packed = Buffer.allocUnsafe(12);
  packed.writeBigInt64BE(BigInt(sec), 0);
  packed.writeUInt32BE(nsec, 8);
  return packed;
}

function time(value: Time | "now" | undefined): Argument {
  if (value === undefined) return "";
  return value === "now" ? "now" : packTime(value);
}
