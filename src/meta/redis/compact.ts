import { createHash } from "node:crypto";
import { log } from "../../base/log.ts";
import type { ChunkReplacement } from "../meta.ts";
import { encodeSlice } from "../slice.ts";
import type { MetaContext } from "./context.ts";
import { integer, list, text } from "./reply.ts";

/**
 * The commit of a compaction (JuiceFS pkg/meta/redis.go `doCompactChunk`, 1.4): one round trip. The new slice gets no
 * marker in `sliceRef`, which there tells whether an unanswered commit was executed: here its answer is kept.
 */
export async function compactChunks(
  context: MetaContext,
  replacements: readonly ChunkReplacement[],
): Promise<boolean[]> {
  const id = replacements[0]?.slice.id;
  if (id === undefined) return [];
  const keep = context.format().TrashDays > 0;
  const reply = await context.answers.change(
    "compact",
    [
      "sliceRef",
      "delSlices",
      ...replacements.map(({ ino, chunkIndex }) => `c${ino}_${chunkIndex}`),
    ],
    [keep ? 1 : 0, ...replacements.flatMap(args)],
    `slice ${id}`,
  );
  const [done, gone] = list(reply);
  // What fails is found by the hourly job: its count stays negative.
  context.deletions.slices(list(gone).map(text)).catch((error: unknown) => {
    log.warn({ error }, "slices replaced by a compaction stay until the hourly job");
  });
  return list(done).map((one) => integer(one) === 1);
}

function args({
  ino,
  chunkIndex,
  read,
  kept,
  slice,
}: ChunkReplacement): (string | number | Buffer)[] {
  const records = createHash("sha1");
  for (const record of read) records.update(encodeSlice(record));
  return [ino.toString(), chunkIndex, read.length, records.digest("hex"), kept, encodeSlice(slice)];
}
