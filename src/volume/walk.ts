import { TYPE_DIRECTORY } from "../meta/limits.ts";
import type { Meta } from "../meta/meta.ts";
import type { DirEntry, Ino } from "../meta/types.ts";

/** Entries of a directory, a part of them. */
export interface WalkedBatch {
  readonly directory: Ino;
  /** 0 for the entries of the directory the walk began at. */
  readonly depth: number;
  readonly entries: readonly DirEntry[];
}

/**
 * Everything below a directory with attributes, a batch at a time, each directory before what lies below it. What is moved
 * meanwhile may be seen twice or not at all.
 */
export async function* walk(
  meta: Pick<Meta, "readdir">,
  ino: Ino,
  { recursive = true, signal }: { recursive?: boolean; signal?: AbortSignal | undefined } = {},
): AsyncIterable<WalkedBatch> {
  const waiting: { ino: Ino; depth: number }[] = [{ ino, depth: 0 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { ino: directory, depth } = next;
    let cursor = "0";
    do {
      signal?.throwIfAborted();
      const batch = await meta.readdir(directory, cursor, true);
      cursor = batch.cursor;
      yield { directory, depth, entries: batch.entries };
      if (!recursive) continue;
      for (const { type, ino: child } of batch.entries) {
        if (type === TYPE_DIRECTORY) waiting.push({ ino: child, depth: depth + 1 });
      }
    } while (cursor !== "0");
  }
}
