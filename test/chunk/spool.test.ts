import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { SpoolBuffer } from "../../src/chunk/spool-buffer.ts";
import { Spool, type Extent } from "../../src/chunk/spool.ts";
import { makeFolder } from "../support/folder.ts";

function overlap(a: Extent, b: Extent): boolean {
  return a.offset < b.offset + b.length && b.offset < a.offset + a.length;
}

/** Lengths to allocate (positive), or which of those held to free (negative). */
const steps = fc.array(
  fc.oneof(
    fc.integer({ min: 1, max: 4 << 20 }),
    fc.integer({ min: 1, max: 5000 }),
    fc.integer({ min: -100, max: -1 }),
  ),
  { maxLength: 200 },
);

test("extents that are held never overlap, and what is free can be had again", async () => {
  await using folder = await makeFolder();
  let runs = 0;
  fc.assert(
    fc.property(steps, (given) => {
      const spool = new Spool(join(folder.path, `spool${runs++}`));
      const held: Extent[] = [];
      for (const step of given) {
        if (step < 0) {
          const [extent] = held.splice(-step % Math.max(held.length, 1), 1);
          if (extent !== undefined) spool.free(extent);
          continue;
        }
        const extent = spool.allocate(step);
        assert.ok(extent.length >= step && extent.offset % extent.length === 0);
        assert.ok(!held.some((other) => overlap(other, extent)));
        held.push(extent);
      }
      assert.equal(
        spool.used,
        held.reduce((sum, { length }) => sum + length, 0),
      );
      for (const extent of held) spool.free(extent);
      assert.equal(spool.used, 0);
      // Everything grew together again: a largest extent begins where the file does.
      const largest = spool.allocate(4 << 20);
      assert.equal(largest.offset % (4 << 20), 0);
      spool.close();
    }),
    { numRuns: 60 },
  );
});

test("a process that takes over is given nothing that is held already", async () => {
  await using folder = await makeFolder();
  const path = join(folder.path, "spool");
  const before = new Spool(path);
  const extents = [5000, 100_000, 1 << 20, 4096, 70_000].map((length) => before.allocate(length));
  const freed = extents.splice(1, 1);
  for (const extent of freed) before.free(extent);
  const after = new Spool(path, { keep: true });
  after.adopt(extents);
  assert.equal(after.used, before.used);
  for (let count = 0; count < 300; count++) {
    const extent = after.allocate(30_000);
    assert.ok(!extents.some((other) => overlap(other, extent)));
    extents.push(extent);
  }
  before.close();
  after.close();
});

test("bytes come back from a buffer that grew in any steps, and so do their places in the file", async () => {
  await using folder = await makeFolder();
  const spool = new Spool(join(folder.path, "spool"));
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 300_000 }), { maxLength: 30 }), (sizes) => {
      const buffer = new SpoolBuffer(spool);
      const expected: Buffer[] = [];
      let length = 0;
      for (const [index, size] of sizes.entries()) {
        const bytes = Buffer.alloc(size, index + 1);
        buffer.write(length, bytes);
        expected.push(bytes);
        length += size;
      }
      const read = Buffer.alloc(length);
      buffer.read(0, read);
      assert.ok(read.equals(Buffer.concat(expected)));
      const places = buffer.places(0, length);
      const pieces: Buffer[] = [];
      for (let at = 0; at < places.length; at += 2) {
        const piece = Buffer.alloc(places[at + 1] ?? 0);
        spool.read(places[at] ?? 0, piece);
        pieces.push(piece);
      }
      assert.ok(Buffer.concat(pieces).equals(read));
      buffer.free();
      assert.equal(spool.used, 0);
    }),
    { numRuns: 50 },
  );
  spool.close();
});
