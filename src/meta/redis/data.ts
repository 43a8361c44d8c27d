import { createHash } from "node:crypto";
import { constants } from "node:os";
import { FsError, type ErrnoName } from "../../base/fs-error.ts";
import { CHUNK_SIZE } from "../limits.ts";
import { cutPieces, mergeSlices } from "../merge.ts";
import type { AllocatedRange, Copied, FilePosition, TruncateHow } from "../meta.ts";
import { decodeSlice, encodeSlice } from "../slice.ts";
import type { Attr, Caller, CommitOutcome, Ino, Slice, SliceCommit } from "../types.ts";
import type { MetaContext } from "./context.ts";
import { getattr } from "./lookup.ts";
import { attr, bytes, integer, list } from "./reply.ts";
import type { Argument } from "./script-call.ts";
import { translated } from "./scripts.ts";
import { packTime } from "./setattr.ts";

/** The contents of files as slice records. */

/** fallocate(2): what the format knows. */
const KEEP_SIZE = 0x01;
const PUNCH_HOLE = 0x02;
const ZERO_RANGE = 0x10;
/** Copied in one call at most: distances in a script's records are 32 bits. */
const COPY_MAX = 2 ** 32 - CHUNK_SIZE;

/** Keys looked at in one go. */
const SCAN = 10_000;
/** Chunks that are looked for one by one, so many at once; behind these a look at all keys is cheaper. */
const LOOK_AT_ONCE = 1000;
const LOOK_MAX = 20_000;

export async function readChunk(context: MetaContext, ino: Ino, index: number): Promise<Slice[]> {
  return (await rawChunk(context, ino, index)).map(decodeSlice);
}

async function rawChunk(context: MetaContext, ino: Ino, index: number): Promise<Buffer[]> {
  return context.answers.ask("read", async () => {
    try {
      return await context.client.lrangeBuffer(`c${ino}_${index}`, 0, -1);
    } catch (error) {
      throw translated(error, "read");
    }
  });
}

/** Few round trips also where a hole is as long as a file can be. */
export async function nextChunk(
  context: MetaContext,
  ino: Ino,
  from: number,
  end: number,
): Promise<number | undefined> {
  const { answers, client } = context;
  const near = Math.min(end, from + LOOK_MAX);
  for (let at = from; at < near; at += LOOK_AT_ONCE) {
    const keys = Array.from(
      { length: Math.min(LOOK_AT_ONCE, near - at) },
      (_, index) => `c${ino}_${at + index}`,
    );
    const found = await answers.ask("lseek", () =>
      Promise.all(keys.map((key) => client.exists(key))),
    );
    const first = found.indexOf(1);
    if (first >= 0) return at + first;
  }
  if (near === end) return undefined;
  const far = (await chunkIndexes(context, ino)).filter((index) => index >= near && index < end);
  return far.length === 0 ? undefined : far.reduce((least, index) => Math.min(least, index));
}

/**
 * The first slice's id names the change: sent again after a crash, the same records must go together again. Where the volume
 * is full but space waits to be freed, what was refused is tried once more.
 */
export async function commitSlices(
  context: MetaContext,
  commits: readonly SliceCommit[],
): Promise<CommitOutcome[]> {
  const outcomes = await commit(context, commits);
  const refused = commits.filter((_, index) => isFull(outcomes[index]));
  if (refused.length === 0 || !(await context.nameless.deleteNow())) return outcomes;
  const pushed = commits.filter((_, index) => !isFailed(outcomes[index]));
  const slices = new Set(pushed.map(({ slice }) => slice.id));
  const again = await commit(context, refused, slices);
  return outcomes.map((outcome) => (isFull(outcome) ? (again.shift() ?? outcome) : outcome));
}

function isFailed(outcome: CommitOutcome | undefined): boolean {
  return outcome === undefined || "error" in outcome;
}

function isFull(outcome: CommitOutcome | undefined): boolean {
  if (outcome === undefined || !("error" in outcome)) return false;
  return outcome.error instanceof FsError && outcome.error.code === "ENOSPC";
}

async function commit(
  context: MetaContext,
  commits: readonly SliceCommit[],
  referred?: ReadonlySet<bigint>,
): Promise<CommitOutcome[]> {
  const keys = new Set<string>();
  const args: Argument[] = [context.format().Capacity];
  for (const { ino, chunkIndex, slice, mtime, append } of commits) {
    keys.add(`i${ino}`).add(`c${ino}_${chunkIndex}`);
    args.push(ino.toString(), chunkIndex, encodeSlice(slice), packTime(mtime));
    args.push((append === true ? 1 : 0) + (referred?.has(slice.id) === true ? 2 : 0));
  }
  const number = `${referred === undefined ? "slice" : "again"} ${commits[0]?.slice.id}`;
  const reply = await context.answers.change("commit", [...keys, "sliceRef"], args, number);
  return list(reply).map(commitOutcome);
}

function commitOutcome(reply: unknown): CommitOutcome {
  if (Buffer.isBuffer(reply)) {
    const code = reply.toString("latin1");
    return { error: new FsError(code in constants.errno ? (code as ErrnoName) : "EIO", "write") };
  }
  const [own, offset, records] = list(reply);
  return { attr: attr(own), offset: integer(offset), chunkRecords: integer(records) };
}

/** As a count that fell below the one reference a slice has without one (JuiceFS pkg/meta/redis.go `doCleanupSlices`, 1.4). */
export async function abandonSlice(
  context: MetaContext,
  id: bigint,
  size: number,
): Promise<boolean> {
  return context.answers.ask("abandon", async () => {
    try {
      return (await context.client.hsetnx("sliceRef", `k${id}_${size}`, -1)) === 1;
    } catch (error) {
      throw translated(error, "abandon");
    }
  });
}

export async function truncate(
  context: MetaContext,
  caller: Caller,
  ino: Ino,
  { length, killSuidGid, byPath }: TruncateHow & { length: number },
): Promise<Attr> {
  const open = context.openFiles.has(ino);
  const how = (killSuidGid === true ? "k" : "") + (byPath === true ? "p" : "") + (open ? "o" : "");
  const args = [ino.toString(), length, context.format().Capacity, how];
  return changeChunks(context, { name: "truncate", ino, args, number: caller.unique });
}

/** Runs a script that puts zeros over a range; where very many chunks lie in it, it asks which there are. */
async function changeChunks(
  context: MetaContext,
  change: { name: string; ino: Ino; args: readonly Argument[]; number?: bigint | undefined },
): Promise<Attr> {
  const { name, ino, args, number } = change;
  let chunks: Argument[] = [];
  for (;;) {
    const all = [...args, ...chunks];
    const reply = await context.answers.change(name, [`i${ino}`], all, number);
    if (Buffer.isBuffer(reply)) return attr(reply);
    chunks = [bytes(list(reply)[1]), ...(await chunkIndexes(context, ino))];
  }
}

/** Which chunks of a file there are; a look at all keys of the database, without stopping the server. */
async function chunkIndexes(context: MetaContext, ino: Ino): Promise<number[]> {
  const found = new Set<number>();
  let cursor = "0";
  do {
    const scan = (): Promise<[string, string[]]> =>
      context.client.scan(cursor, "MATCH", `c${ino}_*`, "COUNT", SCAN);
    const [next, keys] = await context.answers.ask("truncate", scan);
    cursor = next;
    for (const key of keys) found.add(Number(key.slice(key.indexOf("_") + 1)));
  } while (cursor !== "0");
  return [...found];
}

export async function fallocate(
  context: MetaContext,
  ino: Ino,
  mode: number,
  range: AllocatedRange,
): Promise<Attr> {
  if (range.length <= 0 || range.offset < 0) throw new FsError("EINVAL", "fallocate");
  const known = [0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE, ZERO_RANGE | KEEP_SIZE];
  if (!known.includes(mode)) throw new FsError("EOPNOTSUPP", "fallocate");
  const { Capacity } = context.format();
  const kill = range.killSuidGid === true ? 1 : 0;
  const args = [ino.toString(), mode, range.offset, range.length, Capacity, kill];
  return changeChunks(context, { name: "fallocate", ino, args });
}

export async function copyRange(
  context: MetaContext,
  from: FilePosition,
  to: FilePosition,
  { length, killSuidGid }: { length: number; killSuidGid: boolean },
): Promise<Copied> {
  for (;;) {
    const source = await getattr(context, from.ino);
    const copied = Math.max(0, Math.min(length, source.length - from.offset, COPY_MAX));
    if (copied === 0) return { copied: 0, attr: await getattr(context, to.ino) };
    const { chunks, pieces } = await planCopy(context, from, copied);
    const reply = await context.answers.change(
      "copy",
      [`i${from.ino}`, `i${to.ino}`],
      [
        ...[to.ino.toString(), to.offset, copied, context.format().Capacity],
        ...[killSuidGid ? 1 : 0, chunks.length / 2],
        ...chunks,
        ...pieces,
      ],
    );
    if (Buffer.isBuffer(reply) && reply.toString("latin1") === "changed") continue;
    return { copied, attr: attr(reply) };
  }
}

/** The source's chunks with what they hold now, and the records that make the copy. */
async function planCopy(
  context: MetaContext,
  from: FilePosition,
  length: number,
): Promise<{ chunks: string[]; pieces: Buffer[] }> {
  const chunks: string[] = [];
  const pieces: Buffer[] = [];
  const end = from.offset + length;
  for (let index = Math.floor(from.offset / CHUNK_SIZE); index * CHUNK_SIZE < end; index++) {
    const start = index * CHUNK_SIZE;
    const records = await rawChunk(context, from.ino, index);
    chunks.push(`c${from.ino}_${index}`);
    chunks.push(createHash("sha1").update(Buffer.concat(records)).digest("hex"));
    const first = Math.max(from.offset - start, 0);
    const last = Math.min(end - start, CHUNK_SIZE);
    for (const piece of cutPieces(mergeSlices(records.map(decodeSlice)), first, last)) {
      pieces.push(encodeSlice({ ...piece, pos: start + piece.pos - from.offset }));
    }
  }
  return { chunks, pieces };
}
