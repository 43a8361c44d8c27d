import pLimit from "p-limit";
import { BoundedWork } from "../base/bounded-work.ts";
import { CHUNK_SIZE, TYPE_DIRECTORY, TYPE_FILE } from "../meta/limits.ts";
import type { Meta } from "../meta/meta.ts";
import type { Ino } from "../meta/types.ts";
import { scanChunks } from "../meta/redis/scan-slices.ts";
import { silent, type JobOptions } from "./progress.ts";
import type { MetaClient } from "./used-slices.ts";
import { walk } from "./walk.ts";
import type { Compactor } from "../vfs/compactor.ts";

/** Compacts many chunks. What cannot be read stays as it is and is counted. */

export interface CompactionSum {
  /** That have fewer records now. */
  chunks: number;
  /** Records that were replaced. */
  records: number;
  /** Bytes written anew. */
  bytes: number;
  failed: number;
}

/** All chunks of a volume that have more than one record. */
export async function compactCrowded(
  { compactor }: { compactor: Compactor },
  client: MetaClient,
  { threads, progress = silent, signal }: JobOptions & { threads: number },
): Promise<CompactionSum> {
  const sum = { chunks: 0, records: 0, bytes: 0, failed: 0 };
  const counter = progress.count("chunks compacted");
  const limit = pLimit(threads);
  for await (const batch of scanChunks(client)) {
    const crowded = batch.filter(({ owned, records }) => owned && records > 1);
    await limit.map(crowded, async ({ ino, chunkIndex }) => {
      if (signal?.aborted === true) return;
      try {
        addTo(sum, await compactor.compact(ino, chunkIndex));
        counter.add();
      } catch {
        sum.failed++;
      }
    });
    signal?.throwIfAborted();
  }
  counter.end();
  return sum;
}

export function addTo(sum: CompactionSum, one: { records: number; bytes: number }): void {
  if (one.records > 0) sum.chunks++;
  sum.records += one.records;
  sum.bytes += one.bytes;
}

/** A file, or all files below a directory. */
export async function compactTree(
  { meta, compactor }: { meta: Meta; compactor: Pick<Compactor, "compact"> },
  ino: Ino,
  { threads, progress = silent, signal }: JobOptions & { threads: number },
): Promise<CompactionSum> {
  const sum = { chunks: 0, records: 0, bytes: 0, failed: 0 };
  const counter = progress.count("chunks looked at");
  const work = new BoundedWork(threads);
  const compactFile = async (file: Ino, length: number): Promise<void> => {
    for (let chunkIndex = 0; chunkIndex * CHUNK_SIZE < length; chunkIndex++) {
      signal?.throwIfAborted();
      await work.start(async () => {
        try {
          addTo(sum, await compactor.compact(file, chunkIndex));
        } catch {
          sum.failed++;
        }
        counter.add();
      });
    }
  };
  const attr = await meta.getattr(ino);
  if (attr.type === TYPE_FILE) await compactFile(ino, attr.length);
  else if (attr.type === TYPE_DIRECTORY) {
    for await (const { entries } of walk(meta, ino, { signal })) {
      for (const { ino: file, type, attr: known } of entries) {
        if (type === TYPE_FILE && known !== undefined) await compactFile(file, known.length);
      }
    }
  }
  await work.idle();
  counter.end();
  return sum;
}
