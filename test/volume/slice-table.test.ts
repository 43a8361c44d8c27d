import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { SLICE_USES, SliceTable, type SliceUse } from "../../src/volume/slice-table.ts";

test("a table of slices remembers what a map does, with the strongest reason", () => {
  const slice = fc.record({
    id: fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 2 ** 53 - 1 })),
    use: fc.constantFrom<SliceUse>(...SLICE_USES),
  });
  fc.assert(
    fc.property(fc.array(slice, { minLength: 1, maxLength: 5000 }), (slices) => {
      const table = new SliceTable();
      const map = new Map<number, SliceUse>();
      for (const { id, use } of slices) {
        assert.equal(table.add(BigInt(id), id % 1000, use), true);
        const known = map.get(id) ?? use;
        map.set(id, SLICE_USES.indexOf(use) < SLICE_USES.indexOf(known) ? use : known);
        table.mark(id);
      }
      assert.equal(table.count, map.size);
      for (const [id, use] of map) assert.deepEqual(table.get(id), { size: id % 1000, use });
      const marks = [...table.entries()].reduce((sum, entry) => sum + entry.marks, 0);
      assert.equal(marks, slices.length);
      assert.equal([...table.entries()].length, map.size);
      assert.equal(table.get(3001), map.has(3001) ? table.get(3001) : undefined);
    }),
    { numRuns: 30 },
  );
});

test("an id that is known with another size is told", () => {
  const table = new SliceTable();
  assert.equal(table.add(5n, 100, "valid"), true);
  assert.equal(table.add(5n, 101, "valid"), false);
  assert.equal(table.get(5)?.size, 100);
});
