import { isTrash, ROOT_INO } from "../meta/limits.ts";
import { scanEntries, scanInodes } from "../meta/redis/scan-inodes.ts";
import type { Upkeep } from "../meta/upkeep.ts";
import { silent, type JobOptions } from "./progress.ts";
import { SliceTable } from "./slice-table.ts";
import type { MetaClient } from "./used-slices.ts";

/**
 * Deletes inodes that no directory refers to and that did not change since `before` (JuiceFS pkg/meta/redis.go
 * `cleanupLeakedInodes`, 1.4). A name may have been moved under the walk: each one is looked at again where it would be.
 *
 * @returns how many
 */
export async function deleteOrphans(
  { client, upkeep }: { client: MetaClient; upkeep: Upkeep },
  before: Date,
  { progress = silent, signal }: JobOptions,
): Promise<number> {
  const named = await namedInodes(client, { progress, signal });
  let deleted = 0;
  for await (const inodes of scanInodes(client)) {
    signal?.throwIfAborted();
    for (const { ino, attr } of inodes) {
      const young = attr.ctime.sec * 1000 >= before.getTime();
      if (ino === ROOT_INO || isTrash(ino) || young) continue;
      if (named.get(Number(ino)) === undefined && (await upkeep.deleteOrphan(ino))) deleted++;
    }
  }
  return deleted;
}

/** What has a name in some directory. */
async function namedInodes(
  client: MetaClient,
  { progress = silent, signal }: JobOptions,
): Promise<SliceTable> {
  const counter = progress.count("entries looked at");
  const named = new SliceTable();
  for await (const inodes of scanEntries(client)) {
    signal?.throwIfAborted();
    for (const ino of inodes) if (!isTrash(ino)) named.add(ino, 0, "valid");
    counter.add(inodes.length);
  }
  counter.end();
  return named;
}
