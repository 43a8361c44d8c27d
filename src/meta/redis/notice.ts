import { isTrash } from "../limits.ts";
import type { Notice } from "../meta.ts";
import type { Ino } from "../types.ts";

/**
 * A message of the volume's channel, as `announce` in lua/prelude.lua makes it: `<stream id> <session u64><note>...`.
 * A note is a letter and an inode (u64): `a` attributes, `d` data, `x` extended attributes, `n` a new inode, `l` a lock was dropped, `u` the
 * last name went; `e` a name in that directory, followed by its length (u8) and bytes. The stream `notices` keeps the same without its id.
 */
export interface Message {
  readonly sid: bigint;
  readonly notice: Notice;
  /** Inodes that were made. */
  readonly made: readonly Ino[];
  /** Inodes of which somebody dropped a lock. */
  readonly unlocked: readonly Ino[];
  /** Inodes without a name now, which whoever has them open must keep. */
  readonly nameless: readonly Ino[];
}

const SID_BYTES = 8;
const NOTE_BYTES = 9;

/** The stream id before the blank, and what follows it; undefined where the message is not one of ours. */
export function splitMessage(message: Buffer): { id: string; body: Buffer } | undefined {
  const blank = message.indexOf(0x20);
  if (blank < 0 || message.length < blank + 1 + SID_BYTES) return undefined;
  return { id: message.toString("latin1", 0, blank), body: message.subarray(blank + 1) };
}

const [ENTRY, UNLOCKED] = ["e", "l"].map((letter) => letter.charCodeAt(0));

/** True for what a session announced itself and has nothing to learn from: no lock was dropped, nothing happened in the trash. */
export function isEcho(body: Buffer, sid: bigint): boolean {
  if (body.readBigUInt64BE(0) !== sid) return false;
  for (let at = SID_BYTES; at + NOTE_BYTES <= body.length; at += NOTE_BYTES) {
    const kind = body[at];
    if (kind === UNLOCKED) return false;
    if (kind !== ENTRY) continue;
    if (isTrash(body.readBigUInt64BE(at + 1))) return false;
    at += 1 + body.readUInt8(at + NOTE_BYTES);
  }
  return true;
}

/** Unknown letters, of a newer client, are passed over: they are as long as those known. */
export function decodeMessage(body: Buffer): Message {
  const attrs: Ino[] = [];
  const data: Ino[] = [];
  const slices: Ino[] = [];
  const xattrs: Ino[] = [];
  const made: Ino[] = [];
  const unlocked: Ino[] = [];
  const nameless: Ino[] = [];
  const entries: { parent: Ino; name: Buffer }[] = [];
  const lists: Readonly<Record<string, Ino[]>> = {
    a: attrs,
    d: data,
    c: slices,
    x: xattrs,
    n: made,
    l: unlocked,
    u: nameless,
  };
  let at = SID_BYTES;
  while (at + NOTE_BYTES <= body.length) {
    const kind = String.fromCharCode(body.readUInt8(at));
    const ino = body.readBigUInt64BE(at + 1);
    at += NOTE_BYTES;
    if (kind === "e") {
      const end = at + 1 + body.readUInt8(at);
      entries.push({ parent: ino, name: Buffer.from(body.subarray(at + 1, end)) });
      at = end;
    } else {
      lists[kind]?.push(ino);
    }
  }
  return {
    sid: body.readBigUInt64BE(0),
    notice: { attrs, entries, data, slices, xattrs, directories: [], unexplained: [] },
    made,
    unlocked,
    nameless,
  };
}

/** Orders stream ids, `<milliseconds>-<number>`. */
export function compareIds(left: string, right: string): number {
  const [a, b] = [left, right].map((id) => id.split("-").map(Number));
  return (a?.[0] ?? 0) - (b?.[0] ?? 0) || (a?.[1] ?? 0) - (b?.[1] ?? 0);
}
