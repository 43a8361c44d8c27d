import { FsError } from "../../base/fs-error.ts";
import { decodeDentry } from "../dentry.ts";
import type { Removed, Rename, Renamed } from "../meta.ts";
import type { Attr, Caller, Ino } from "../types.ts";
import { trashHour, type MetaContext } from "./context.ts";
import { attr, bytes, integer, list, optionalAttr, optionalBytes } from "./reply.ts";

/**
 * Removing and moving names. The keys of the inode behind a name are named by what the caller believes the name to lead
 * to; a script that finds something else does nothing and tells, and is called once more.
 */

/** Somebody else may win the name again and again; that often is no coincidence. */
const TRIES = 100;

export interface Removal {
  readonly parent: Ino;
  readonly name: Buffer;
  readonly directory: boolean;
  readonly known?: Ino | undefined;
  /** An hourly folder of the trash whose time has come. */
  readonly expired?: boolean;
  /** Removed for good, whatever the volume's settings say. */
  readonly skipTrash?: boolean;
}

export async function remove(
  context: MetaContext,
  caller: Caller,
  { parent, name, directory, known, expired, skipTrash }: Removal,
): Promise<Removed> {
  let ino = known ?? 0n;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const reply = list(
      await context.answers.change(
        "remove",
        [`d${parent}`, `i${parent}`, `i${ino}`, `d${ino}`, `x${ino}`, `p${ino}`, `s${ino}`],
        [
          ...[parent.toString(), name, ino.toString(), directory ? "rmdir" : "unlink"],
          ...[caller.uid, skipTrash === true ? "" : trashHour(context)],
          context.openFiles.has(ino) ? 1 : 0,
          expired === true ? 1 : 0,
        ],
        caller.unique,
      ),
    );
    if (isKnown(reply)) {
      ino = decodeDentry(bytes(reply[1])).ino;
      continue;
    }
    const length = integer(reply[2]);
    if (length >= 0) context.deletions.fileSoon(ino, length);
    const left = optionalAttr(reply[0]);
    if (left !== undefined) keptOpen(context, ino, left);
    return { ino, attr: left, parentAttr: attr(reply[1]) };
  }
  throw new FsError("EIO", "remove a name that keeps changing");
}

export async function rename(context: MetaContext, caller: Caller, move: Rename): Promise<Renamed> {
  const { fromParent: from, toParent: to } = move;
  if ((move.flags & ~3) !== 0 || move.flags === 3) throw new FsError("EINVAL", "rename");
  let ino = move.knownFrom ?? 0n;
  let target = move.knownTo ?? 0n;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const reply = list(
      await context.answers.change(
        "rename",
        [
          ...[`d${from}`, `i${from}`, `d${to}`, `i${to}`, `i${ino}`, `p${ino}`],
          ...[`i${target}`, `d${target}`, `p${target}`],
        ],
        [
          ...[from.toString(), move.fromName, to.toString(), move.toName],
          ...[ino.toString(), target.toString(), move.flags, caller.uid, trashHour(context)],
          context.openFiles.has(target) ? 1 : 0,
        ],
        caller.unique,
      ),
    );
    if (isKnown(reply)) {
      ino = decodeDentry(bytes(reply[1])).ino;
      const other = optionalBytes(reply[2]);
      target = other === undefined ? 0n : decodeDentry(other).ino;
      continue;
    }
    const length = integer(reply[4]);
    if (length >= 0) context.deletions.fileSoon(target, length);
    const left = optionalAttr(reply[1]);
    if (left !== undefined) keptOpen(context, target, left);
    return {
      ino,
      attr: attr(reply[0]),
      target: target === 0n ? undefined : { ino: target, attr: left },
      fromParentAttr: attr(reply[2]),
      toParentAttr: attr(reply[3]),
    };
  }
  throw new FsError("EIO", "rename a name that keeps changing");
}

/** A file that lost its last name but is there still: another mount may have it open, if this one has not. */
function keptOpen(context: MetaContext, ino: Ino, left: Attr): void {
  if (left.nlink === 0 && !context.openFiles.has(ino)) context.nameless.removedHere(ino);
}

function isKnown(reply: unknown[]): boolean {
  return Buffer.isBuffer(reply[0]) && reply[0].toString("latin1") === "known";
}
