import assert from "node:assert/strict";
import { test } from "node:test";
import { planCompaction } from "../../src/meta/compaction.ts";
import type { Slice } from "../../src/meta/types.ts";

const MIB = 1 << 20;

/** A record of a slice of its own, in MiB. */
function record(id: number, pos: number, len: number): Slice {
  return { pos: pos * MIB, id: BigInt(id), size: len * MIB, off: 0, len: len * MIB };
}

test("large records side by side stay as they are", () => {
  assert.equal(planCompaction([record(1, 0, 20), record(2, 20, 1), record(3, 21, 1)]), undefined);
  assert.equal(planCompaction([record(1, 0, 4), record(2, 4, 4)]), undefined);
});

test("a large record that is written over becomes one slice with what lies on it", () => {
  const plan = planCompaction([record(1, 0, 20), record(2, 10, 1)]);
  assert.equal(plan?.skipped, 0);
  assert.equal(plan?.pos, 0);
  assert.equal(plan?.size, 20 * MIB);
  assert.deepEqual(
    plan?.pieces.map((piece) => [piece.id, piece.off / MIB, piece.len / MIB]),
    [
      [1n, 0, 10],
      [2n, 0, 1],
      [1n, 11, 9],
    ],
  );
});

test("a leading record much smaller than the whole is rewritten with it", () => {
  const plan = planCompaction([record(1, 0, 2), record(2, 2, 20), record(3, 22, 1)]);
  assert.equal(plan?.skipped, 0);
  assert.equal(plan?.size, 23 * MIB);
});

test("what was cut off the chunk's end is not written anew", () => {
  const hole: Slice = { pos: 0, id: 0n, size: 0, off: 0, len: 64 * MIB };
  const plan = planCompaction([hole, record(1, 0, 4)]);
  assert.equal(plan?.pos, 0);
  assert.equal(plan?.size, 4 * MIB);
});

test("records behind the first five thousand are left for later", () => {
  const many = Array.from({ length: 6000 }, (_, at) => ({
    ...record(at + 1, 0, 0),
    len: 1,
    size: 1,
    pos: at,
  }));
  assert.equal(planCompaction(many)?.looked, 5000);
  assert.equal(planCompaction(many)?.size, 5000);
});
