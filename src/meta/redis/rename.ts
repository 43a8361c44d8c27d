import { FsError } from "../../base/fs-error.ts";
import { decodeDentry } from "../dentry.ts";
import type { Rename, Renamed } from "../meta.ts";
import type { Caller, Ino } from "../types.ts";
import { trashHour, type MetaContext } from "./context.ts";
import { isKnown, lostName, TRIES } from "./remove.ts";
import { attr, bytes, list, optionalBytes, text } from "./reply.ts";

/** Moving names: as in removing, keys are named by what the caller believes the names to lead to. */

/** RENAME_*. */
const [NOREPLACE, EXCHANGE, WHITEOUT] = [1, 2, 4];

/** What the names lead to, as far as it is known. */
interface Ends {
  readonly ino: Ino;
  readonly target: Ino;
}

export async function rename(context: MetaContext, caller: Caller, move: Rename): Promise<Renamed> {
  const { flags } = move;
  if (flags > WHITEOUT + NOREPLACE || ((flags & EXCHANGE) !== 0 && flags !== EXCHANGE)) {
    throw new FsError("EINVAL", "rename");
  }
  const whiteout = (flags & WHITEOUT) === 0 ? undefined : await context.counters.nextInode();
  let ends: Ends = { ino: move.knownFrom ?? 0n, target: move.knownTo ?? 0n };
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const reply = await attemptRename(context, caller, { ...move, ...ends, whiteout });
    if (!isKnown(reply)) return renamed(context, reply);
    const other = optionalBytes(reply[2]);
    ends = {
      ino: decodeDentry(bytes(reply[1])).ino,
      target: other === undefined ? 0n : decodeDentry(other).ino,
    };
  }
  throw new FsError("EIO", "rename a name that keeps changing");
}

async function attemptRename(
  context: MetaContext,
  caller: Caller,
  move: Rename & Ends & { readonly whiteout: Ino | undefined },
): Promise<unknown[]> {
  const { fromParent: from, toParent: to, ino, target, whiteout } = move;
  const { Capacity, Inodes } = context.format();
  return list(
    await context.answers.change(
      "rename",
      [
        ...[`d${from}`, `i${from}`, `d${to}`, `i${to}`, `i${ino}`, `p${ino}`],
        ...[`i${target}`, `d${target}`, `p${target}`],
        ...(whiteout === undefined ? [] : [`i${whiteout}`]),
      ],
      [
        ...[from.toString(), move.fromName, to.toString(), move.toName],
        ...[ino.toString(), target.toString(), move.flags, caller.uid, trashHour(context)],
        ...[context.openFiles.has(target) ? 1 : 0, whiteout?.toString() ?? "", caller.gid],
        ...[Capacity, Inodes],
      ],
      caller.unique,
    ),
  );
}

function renamed(context: MetaContext, reply: readonly unknown[]): Renamed {
  const [own, targetRecord, fromDir, toDir, ino, whiteout, ...lost] = reply;
  const target = text(lost.at(-1)) === "0" ? undefined : lostName(context, targetRecord, lost);
  return {
    ...{ ino: BigInt(text(ino)), attr: attr(own), target },
    whiteout: text(whiteout) === "" ? undefined : BigInt(text(whiteout)),
    ...{ fromParentAttr: attr(fromDir), toParentAttr: attr(toDir) },
  };
}
