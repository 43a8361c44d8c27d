import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { cutPieces, mergeSlices } from "../../src/meta/merge.ts";
import type { Slice } from "../../src/meta/types.ts";

const MIB = 1 << 20;

test("the worked example of a merged view", () => {
  const records: Slice[] = [
    { pos: 10 * MIB, id: 10n, size: 30 * MIB, off: 0, len: 30 * MIB },
    { pos: 20 * MIB, id: 11n, size: 16 * MIB, off: 0, len: 16 * MIB },
    { pos: 16 * MIB, id: 12n, size: 10 * MIB, off: 0, len: 10 * MIB },
  ];
  const view = mergeSlices(records).map(({ pos, id, off, len }) => [
    pos / MIB,
    id,
    off / MIB,
    len / MIB,
  ]);
  assert.deepEqual(view, [
    [0, 0n, 0, 10],
    [10, 10n, 0, 6],
    [16, 12n, 0, 10],
    [26, 11n, 6, 10],
    [36, 10n, 26, 4],
  ]);
});

test("no records, or empty ones, are an empty view", () => {
  assert.deepEqual(mergeSlices([]), []);
  assert.deepEqual(mergeSlices([{ pos: 5, id: 1n, size: 0, off: 0, len: 0 }]), []);
});

test("any records read byte by byte as if each were painted over the last", () => {
  const record = fc.record({
    pos: fc.nat(40),
    id: fc.bigInt(0n, 5n),
    off: fc.nat(20),
    len: fc.nat(30),
  });
  fc.assert(
    fc.property(
      fc.array(record, { maxLength: 30 }),
      fc.nat(60),
      fc.nat(20),
      (drawn, start, length) => {
        const records = drawn.map((one) => ({ ...one, size: 50 }));
        const painted: string[] = [];
        for (const { pos, id, off, len } of records) {
          if (len === 0) continue;
          while (painted.length < pos + len) painted.push("0");
          for (let i = 0; i < len; i++) painted[pos + i] = id === 0n ? "0" : `${id}@${off + i}`;
        }
        const pieces = mergeSlices(records);
        assert.deepEqual(flat(pieces), painted);
        const wanted = Array.from({ length }, (_, i) => painted[start + i] ?? "0");
        assert.deepEqual(flat(cutPieces(pieces, start, start + length)), wanted);
      },
    ),
  );
});

function flat(pieces: readonly Slice[]): string[] {
  return pieces.flatMap(({ id, off, len }) =>
    Array.from({ length: len }, (_, i) => (id === 0n ? "0" : `${id}@${off + i}`)),
  );
}
