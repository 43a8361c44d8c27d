import { FsError } from "../../base/fs-error.ts";
import { decodeDentry } from "../dentry.ts";
import { isTrash } from "../limits.ts";
import type { Removed } from "../meta.ts";
import type { Caller, Ino } from "../types.ts";
import { trashHour, type MetaContext } from "./context.ts";
import { attr, bytes, integer, list, optionalAttr, text } from "./reply.ts";

/**
 * Removing names. The keys of the inode behind a name are named by what the caller believes the name to lead
 * to; a script that finds something else does nothing and tells, and is called once more.
 */

/** Somebody else may win the name again and again; that often is no coincidence. */
export const TRIES = 100;

export interface Removal {
  readonly parent: Ino;
  readonly name: Buffer;
  readonly directory: boolean;
  readonly known?: Ino | undefined;
  /** An hourly folder of the trash whose time has come, or something in it: flags protect it no more. */
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
    const [left, dir, ...lost] = reply;
    return { ...lostName(context, left, lost), parentAttr: attr(dir) };
  }
  throw new FsError("EIO", "remove a name that keeps changing");
}

/** What a script tells of an inode that lost a name: its record, length of the data to delete, 1 where it is gone, its number. */
export function lostName(
  context: MetaContext,
  record: unknown,
  [length, goneMark, number]: readonly unknown[],
): Omit<Removed, "parentAttr"> {
  const ino = BigInt(text(number));
  const gone = integer(goneMark) === 1;
  const left = optionalAttr(record);
  if (integer(length) >= 0) context.deletions.fileSoon(ino, integer(length));
  // There still without a name: another mount may have it open, if this one has not.
  const kept = left?.nlink === 0 && !gone && !isTrash(left.parent);
  if (kept && !context.openFiles.has(ino)) context.nameless.removedHere(ino);
  return { ino, attr: left, gone };
}

/** A script found something else behind a name, and did nothing. */
export function isKnown(reply: unknown[]): boolean {
  return Buffer.isBuffer(reply[0]) && reply[0].toString("latin1") === "known";
}
