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
      change.killSuidGid === true ? 1 : 0,
    ],
    caller.unique,
  );
  return attr(reply);
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
