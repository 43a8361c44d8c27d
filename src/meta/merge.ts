import type { Slice } from "./types.ts";

/** A part of a chunk's merged view, in the words of a record: `len` bytes from `off` of slice `id`; id 0 is a hole. */
export type Piece = Slice;

/**
 * What a chunk's records amount to: pieces without gap or overlap, from 0 to the last byte any record
 * covers; a later record hides what lies under it. What follows is zeros up to the end of the file.
 * Records are taken oldest first, as `c<ino>_<indx>` has them. Takes O(n log n + pieces).
 */
export function mergeSlices(records: readonly Slice[]): Piece[] {
  const covered: Piece[] = [];
  for (const record of records) {
    if (record.len > 0) overlay(covered, record);
  }
  return fillHoles(covered);
}

/** A merged view with one more record on top. */
export function addRecord(pieces: readonly Piece[], record: Slice): Piece[] {
  const covered = [...pieces];
  if (record.len > 0) overlay(covered, record);
  const end = pieces.at(-1);
  return record.pos > (end === undefined ? 0 : end.pos + end.len) ? fillHoles(covered) : covered;
}

/** The pieces of a merged view that lie in [start, end), cut to it; what the view lacks is a hole. */
export function cutPieces(pieces: readonly Piece[], start: number, end: number): Piece[] {
  const cut = pieces
    .filter((piece) => piece.pos < end && piece.pos + piece.len > start)
    .map((piece) => part(piece, Math.max(piece.pos, start), Math.min(piece.pos + piece.len, end)));
  const last = cut.at(-1);
  const reached = last === undefined ? start : last.pos + last.len;
  if (reached < end) cut.push({ pos: reached, id: 0n, size: 0, off: 0, len: end - reached });
  return cut;
}

/** Puts a record over an ordered list of pieces. */
function overlay(pieces: Piece[], record: Slice): void {
  const end = record.pos + record.len;
  const from = firstEndingAfter(pieces, record.pos);
  let to = from;
  while (to < pieces.length && (pieces[to]?.pos ?? end) < end) to++;
  const first = pieces[from];
  const last = pieces[to - 1];
  const replaced: Piece[] = [];
  if (first !== undefined && from < to && first.pos < record.pos) {
    replaced.push(part(first, first.pos, record.pos));
  }
  replaced.push(record);
  if (last !== undefined && from < to && last.pos + last.len > end) {
    replaced.push(part(last, end, last.pos + last.len));
  }
  pieces.splice(from, to - from, ...replaced);
}

/** Where in an ordered list the first piece is that ends behind `position`. */
function firstEndingAfter(pieces: readonly Piece[], position: number): number {
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const piece = pieces[middle];
    if (piece !== undefined && piece.pos + piece.len <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The bytes [start, end) of a piece; its place in the slice moves with the left edge. */
function part(piece: Piece, start: number, end: number): Piece {
  return { ...piece, pos: start, off: piece.off + start - piece.pos, len: end - start };
}

function fillHoles(covered: readonly Piece[]): Piece[] {
  const pieces: Piece[] = [];
  let reached = 0;
  for (const piece of covered) {
    if (piece.pos > reached) {
      pieces.push({ pos: reached, id: 0n, size: 0, off: 0, len: piece.pos - reached });
    }
    pieces.push(piece);
    reached = piece.pos + piece.len;
  }
  return pieces;
}
