import { wallClock } from "../base/clock.ts";
import type { Attr, Ino, Time } from "../meta/types.ts";
import type { VfsParts } from "./parts.ts";

/**
 * When reading is noted (`--atime-mode`). Only reads that get here count: while a time is due the kernel is not told to keep
 * pages, so that the first read of an opening does.
 */

const DAY = 86_400;

/** Whether a read of this inode now is to be noted. */
export function isDue(parts: VfsParts, { atime, mtime, ctime }: Attr): boolean {
  const { atime: mode, readOnly } = parts.options;
  if (mode === "noatime" || readOnly) return false;
  const age = seconds(wallClock()) - seconds(atime);
  if (mode === "strictatime") return age >= 1;
  return notAfter(atime, mtime) || notAfter(atime, ctime) || age >= DAY;
}

/** Notes a read that is due. Nothing depends on it: a failure is not the reader's. */
export async function noteRead(parts: VfsParts, ino: Ino, attr: Attr): Promise<void> {
  if (!isDue(parts, attr)) return;
  const mark = parts.known.mark();
  const relative = parts.options.atime === "relatime";
  const noted = await parts.meta.touchAtime(ino, relative).catch(() => undefined);
  if (noted !== undefined) parts.known.attrs.learn(ino, noted, mark);
}

function notAfter(one: Time, other: Time): boolean {
  return one.sec < other.sec || (one.sec === other.sec && one.nsec <= other.nsec);
}

function seconds({ sec, nsec }: Time): number {
  return sec + nsec / 1e9;
}
