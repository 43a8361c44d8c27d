import { TRASH_INO, TYPE_FILE } from "../meta/limits.ts";
import { openMeta } from "../meta/redis/open.ts";
import { scanCounts, scanDelayed } from "../meta/redis/scan-slices.ts";
import { silent, type Counter, type JobOptions } from "./progress.ts";
import type { MetaClient } from "./used-slices.ts";
import { walk } from "./walk.ts";

/** What was removed and still takes room, under JuiceFS's own names; lengths of files, sizes of slices. */
export interface RemovedSums {
  /** Folders among them. */
  readonly TrashFileCount: number;
  readonly TrashFileSize: number;
  /** Nobody can reach them any more. */
  readonly PendingDeletedFileCount: number;
  readonly PendingDeletedFileSize: number;
  /** That compactions replaced. */
  readonly TrashSliceCount: number;
  readonly TrashSliceSize: number;
  readonly PendingDeletedSliceCount: number;
  readonly PendingDeletedSliceSize: number;
}

/** @throws Error in one sentence */
export async function sumRemoved(
  metaUrl: string,
  client: MetaClient,
  { progress = silent, signal }: JobOptions = {},
): Promise<RemovedSums> {
  const sum = async (what: string, found: AsyncIterable<number>): Promise<[number, number]> => {
    const counter: Counter = progress.count(what);
    let [count, bytes] = [0, 0];
    for await (const size of found) {
      signal?.throwIfAborted();
      count++;
      bytes += size;
      counter.add(1, size);
    }
    counter.end();
    return [count, bytes];
  };
  const trashFiles = await sum("files in the trash", trashed(metaUrl, signal));
  const files = await sum("files to be deleted", deletedFiles(client));
  const trashSlices = await sum("slices kept with the trash", delayed(client));
  const slices = await sum("slices to be deleted", deletedSlices(client));
  return {
    ...{ TrashFileCount: trashFiles[0], TrashFileSize: trashFiles[1] },
    ...{ PendingDeletedFileCount: files[0], PendingDeletedFileSize: files[1] },
    ...{ TrashSliceCount: trashSlices[0], TrashSliceSize: trashSlices[1] },
    ...{ PendingDeletedSliceCount: slices[0], PendingDeletedSliceSize: slices[1] },
  };
}

async function* trashed(metaUrl: string, signal?: AbortSignal): AsyncIterable<number> {
  const meta = await openMeta(
    metaUrl,
    { mountpoint: "status", readOnly: true, noBgjob: true },
    {
      changed: () => undefined,
      trustChanged: () => undefined,
      deleteSlice: () => Promise.reject(new Error("status deletes nothing")),
      volumeGone: () => undefined,
    },
  );
  try {
    for await (const { depth, entries } of walk(meta, TRASH_INO, { signal })) {
      // The trash's own folders, one for each hour, were not removed by anybody.
      if (depth === 0) continue;
      for (const { type, attr } of entries) yield type === TYPE_FILE ? (attr?.length ?? 0) : 0;
    }
  } finally {
    await meta.close();
  }
}

async function* deletedFiles(client: MetaClient): AsyncIterable<number> {
  let cursor = "0";
  do {
    const [next, members] = await client.zscan("delfiles", cursor);
    cursor = next;
    for (let at = 0; at < members.length; at += 2) yield Number(members[at]?.split(":")[1]);
  } while (cursor !== "0");
}

async function* delayed(client: MetaClient): AsyncIterable<number> {
  for await (const { slices } of scanDelayed(client)) for (const { size } of slices) yield size;
}

async function* deletedSlices(client: MetaClient): AsyncIterable<number> {
  for await (const { size, count } of scanCounts(client)) if (count < 0) yield size;
}
