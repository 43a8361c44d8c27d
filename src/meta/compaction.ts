import { mergeSlices, type Piece } from "./merge.ts";
import type { Slice } from "./types.ts";

/** Records looked at in one go; what is behind them waits for the next. JuiceFS takes 1000, and copies the same bytes more often. */
const RECORDS_MAX = 5000;
/** A leading record smaller than this is never left as it is. */
const SKIP_MIN_BYTES = 1 << 20;

/** What to make of a chunk's records (JuiceFS pkg/meta/slice.go `compactChunk` and `skipSome`, 1.4). */
export interface CompactionPlan {
  /** How many records, from the oldest, were looked at: they must be unchanged when the result is put in their place. */
  readonly looked: number;
  /** How many of them, from the oldest, stay as they are. */
  readonly skipped: number;
  /** Where in the chunk the new slice begins, and its bytes in order; holes become zeros. */
  readonly pos: number;
  readonly pieces: readonly Piece[];
  /** Bytes of the new slice. */
  readonly size: number;
}

/**
 * Plans the compaction of a chunk: large leading records stay, the rest becomes one slice.
 *
 * @param records oldest first
 * @returns undefined where there is nothing to gain
 */
export function planCompaction(records: readonly Slice[]): CompactionPlan | undefined {
  const looked = records.slice(0, RECORDS_MAX);
  const skipped = countSkipped(looked);
  const rest = looked.slice(skipped);
  const view = trimmedView(rest);
  if (rest.length < 2 || view.size === 0) return undefined;
  const end = view.pos + view.size;
  const hidden = looked.slice(0, skipped).some((s) => s.pos < end && s.pos + s.len > view.pos);
  if (hidden) return undefined;
  return { looked: looked.length, skipped, ...view };
}

/** What a chunk amounts to between its first and its last byte that is no hole. */
export interface View {
  readonly pos: number;
  readonly size: number;
  readonly pieces: Piece[];
}

/** How many leading records are large, and visible just as they are. */
function countSkipped(records: readonly Slice[]): number {
  let skipped = 0;
  while (skipped < records.length) {
    const record = records[skipped];
    const rest = records.slice(skipped);
    const view = trimmedView(rest);
    if (record === undefined || record.len < SKIP_MIN_BYTES) break;
    if (view.size === 0 || record.len * 5 < view.size) break;
    const first = view.pieces[0];
    if (first === undefined || !isSame(first, record)) break;
    if (rest.slice(1).some((later) => isSame(later, record))) break;
    skipped++;
  }
  return skipped;
}

/** The merged view without the holes at its ends; a view that is one hole keeps one byte of it. */
export function trimmedView(records: readonly Slice[]): View {
  const pieces = mergeSlices(records);
  while (pieces.length > 1 && pieces[0]?.id === 0n) pieces.shift();
  while (pieces.length > 1 && pieces.at(-1)?.id === 0n) pieces.pop();
  const only = pieces[0];
  if (only !== undefined && pieces.length === 1 && only.id === 0n) pieces[0] = { ...only, len: 1 };
  return {
    pos: pieces[0]?.pos ?? 0,
    size: pieces.reduce((sum, piece) => sum + piece.len, 0),
    pieces,
  };
}

function isSame(piece: Slice, record: Slice): boolean {
  return (
    piece.pos === record.pos &&
    piece.id === record.id &&
    piece.off === record.off &&
    piece.len === record.len
  );
}
