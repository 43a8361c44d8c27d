import {
  scanChunks,
  scanCounts,
  scanDelayed,
  type ScannedChunk,
} from "../meta/redis/scan-slices.ts";
import type { openFormat } from "../meta/redis/open.ts";
import type { Ino } from "../meta/types.ts";
import { silent, type JobOptions } from "./progress.ts";
import { SliceTable } from "./slice-table.ts";

/** Which slices a volume's metadata refers to, and why. */

export type MetaClient = Awaited<ReturnType<typeof openFormat>>["client"];

export interface UsedSlices {
  readonly slices: SliceTable;
  /** Inodes that are gone while chunks of them are there, with how many chunks to look at. */
  readonly leftOver: ReadonlyMap<Ino, number>;
}

/**
 * Walks over everything that refers to slices. Counted slices are looked at last: one that was copied while the walk went on,
 * from a chunk not seen yet to one seen already, and deleted where it was, has left a count.
 */
export async function usedSlices(
  client: MetaClient,
  options: JobOptions = {},
): Promise<UsedSlices> {
  const slices = new SliceTable();
  const leftOver = new Map<Ino, number>();
  await walkChunks(client, options, (chunk) => {
    for (const { id, size } of chunk.slices) slices.add(id, size, "valid");
    if (chunk.owned) return;
    leftOver.set(chunk.ino, Math.max(leftOver.get(chunk.ino) ?? 0, chunk.chunkIndex + 1));
  });
  for await (const delayed of scanDelayed(client)) {
    for (const { id, size } of delayed.slices) slices.add(id, size, "compacted");
  }
  for await (const { id, size, count } of scanCounts(client)) {
    slices.add(id, size, count < 0 ? "pending" : "counted");
  }
  return { slices, leftOver };
}

/** Hands every chunk that has records to `visit`. */
export async function walkChunks(
  client: MetaClient,
  { progress = silent, signal }: JobOptions,
  visit: (chunk: ScannedChunk) => void,
): Promise<void> {
  const counter = progress.count("chunks looked at");
  for await (const batch of scanChunks(client)) {
    signal?.throwIfAborted();
    for (const chunk of batch) visit(chunk);
    counter.add(batch.length);
  }
  counter.end();
}
