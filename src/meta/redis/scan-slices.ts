import type { Redis } from "ioredis";
import { decodeSlice } from "../slice.ts";
import type { Ino, Slice } from "../types.ts";

/**
 * Walks over everything that refers to slices, part by part: what is changed meanwhile may be seen or not. A record seen by
 * no walk may still be referred to by one that was copied while the walk went on; `scanCounts` tells of those.
 */

export interface ScannedChunk {
  readonly ino: Ino;
  readonly chunkIndex: number;
  /** False where the inode is gone: the chunk is left over, or about to be deleted. */
  readonly owned: boolean;
  /** Holes left out. */
  readonly slices: readonly Slice[];
  readonly records: number;
}

/** A slice by its identity. */
export interface SliceName {
  readonly id: bigint;
  readonly size: number;
}

const KEYS_AT_ONCE = 1000;
const FIELDS_AT_ONCE = 100;

/** Every chunk that has records; one or another twice. */
export async function* scanChunks(client: Redis): AsyncIterable<ScannedChunk[]> {
  let cursor = "0";
  do {
    const [next, keys] = await client.scan(cursor, "MATCH", "c*_*", "COUNT", KEYS_AT_ONCE);
    cursor = next;
    const chunks = keys.map((key) => /^c(\d+)_(\d+)$/.exec(key)).filter((found) => found !== null);
    if (chunks.length > 0) yield await readChunks(client, chunks);
  } while (cursor !== "0");
}

async function readChunks(
  client: Redis,
  chunks: readonly RegExpExecArray[],
): Promise<ScannedChunk[]> {
  const pipeline = client.pipeline();
  for (const [key, ino] of chunks) pipeline.lrangeBuffer(key, 0, -1).exists(`i${ino}`);
  const replies = (await pipeline.exec()) ?? [];
  return chunks.map(([key, ino = "", index = ""], at) => {
    const [failed, records] = replies[at * 2] ?? [];
    const [, exists] = replies[at * 2 + 1] ?? [];
    if (failed instanceof Error) throw new Error(`Cannot read chunk ${key}`, { cause: failed });
    const slices = (records as Buffer[]).map(decodeSlice);
    return {
      ...{ ino: BigInt(ino), chunkIndex: Number(index), owned: exists === 1 },
      ...{ slices: slices.filter(({ id }) => id !== 0n), records: slices.length },
    };
  });
}

/** What compactions replaced and the trash still keeps, with the time when that was, in seconds. */
export async function* scanDelayed(
  client: Redis,
): AsyncIterable<{ readonly field: string; readonly since: number; readonly slices: SliceName[] }> {
  let cursor = "0";
  do {
    const [next, fields] = await client.hscanBuffer("delSlices", cursor, "COUNT", FIELDS_AT_ONCE);
    cursor = next.toString();
    for (let at = 0; at < fields.length; at += 2) {
      const field = fields[at]?.toString() ?? "";
      const records = fields[at + 1] ?? Buffer.alloc(0);
      const slices = Array.from({ length: Math.floor(records.length / 12) }, (_, index) => ({
        id: records.readBigUInt64BE(index * 12),
        size: records.readUInt32BE(index * 12 + 8),
      }));
      yield { field, since: Number(field.split("_")[1]), slices };
    }
  } while (cursor !== "0");
}

/** Slices whose references are counted: 1 less than they are; below 0 the slice waits to be deleted. */
export async function* scanCounts(
  client: Redis,
): AsyncIterable<SliceName & { readonly count: number }> {
  let cursor = "0";
  do {
    const [next, fields] = await client.hscan("sliceRef", cursor, "COUNT", KEYS_AT_ONCE);
    cursor = next;
    for (let at = 0; at < fields.length; at += 2) {
      const [, id, size] = /^k(\d+)_(\d+)$/.exec(fields[at] ?? "") ?? [];
      if (id === undefined) continue;
      yield { id: BigInt(id), size: Number(size), count: Number(fields[at + 1]) };
    }
  } while (cursor !== "0");
}
