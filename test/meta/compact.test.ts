import assert from "node:assert/strict";
import { test } from "node:test";
import { planCompaction } from "../../src/meta/compaction.ts";
import { ROOT_INO, TYPE_FILE } from "../../src/meta/limits.ts";
import type { ChunkReplacement, Meta } from "../../src/meta/meta.ts";
import type { Ino, Slice } from "../../src/meta/types.ts";
import { makeVolume, ROOT_CALLER } from "../support/meta.ts";
import { until } from "../support/process.ts";

async function fill(meta: Meta, name: string, slices: readonly Slice[]): Promise<Ino> {
  const node = { type: TYPE_FILE, mode: 0o644, umask: 0 };
  const { ino } = await meta.create(ROOT_CALLER, ROOT_INO, Buffer.from(name), node);
  const mtime = { sec: 1, nsec: 0 };
  await meta.commitSlices(slices.map((slice) => ({ ino, chunkIndex: 0, slice, mtime })));
  return ino;
}

function slice(id: bigint, pos: number, len: number): Slice {
  return { pos, id, size: len, off: 0, len };
}

/** What a compactor hands in for a chunk, with `id` for its new slice. */
async function replacement(meta: Meta, ino: Ino, id: bigint, off = 0): Promise<ChunkReplacement> {
  const records = await meta.readChunk(ino, 0);
  const plan = planCompaction(records);
  assert.ok(plan !== undefined);
  return {
    ino,
    chunkIndex: 0,
    read: records.slice(0, plan.looked),
    kept: plan.skipped,
    slice: { pos: plan.pos, id, size: 4000, off, len: plan.size },
  };
}

test("a compaction with trash keeps what it replaced, as the format's example has it", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  const ino = await fill(meta, "f", [
    slice(100n, 0, 4096),
    slice(101n, 100, 65536),
    slice(0n, 5, 5),
  ]);
  const [done] = await meta.compactChunks([await replacement(meta, ino, 14n)]);
  assert.equal(done, true);
  assert.deepEqual(
    (await meta.readChunk(ino, 0)).map(({ id }) => id),
    [14n],
  );
  const [[field, value] = ["", ""]] = Object.entries(await volume.redis.hgetall("delSlices"));
  assert.match(field, /^14_\d{10}$/);
  assert.equal(
    (await volume.redis.hgetBuffer("delSlices", field))?.toString("hex"),
    "0000000000000064000010000000000000000065" + "00010000",
  );
  assert.notEqual(value, "");
  assert.equal(await volume.redis.exists("sliceRef"), 0);
});

test("a compaction without trash deletes what nobody else refers to", async () => {
  await using volume = await makeVolume({ trashDays: 0 });
  const { meta, deleted } = await volume.open();
  const ino = await fill(meta, "f", [slice(1n, 0, 100), slice(2n, 50, 100)]);
  await fill(meta, "g", [slice(2n, 50, 100)]);
  await volume.redis.hset("sliceRef", "k2_100", "1");
  await meta.compactChunks([await replacement(meta, ino, 3n)]);
  await until("slice deleted", () => deleted.length > 0);
  assert.deepEqual(deleted, [{ id: 1n, size: 100 }]);
  assert.deepEqual(await volume.redis.hgetall("sliceRef"), { k2_100: "0" });
});

test("what was written meanwhile stays behind the result; what was changed meanwhile stays as it is", async () => {
  await using volume = await makeVolume({ trashDays: 0 });
  const { meta, deleted } = await volume.open();
  const ino = await fill(meta, "f", [
    slice(9n, 0, 2 ** 21),
    slice(1n, 2 ** 21, 100),
    slice(2n, 2 ** 21, 50),
  ]);
  const plan = await replacement(meta, ino, 3n);
  const mtime = { sec: 1, nsec: 0 };
  await meta.commitSlices([{ ino, chunkIndex: 0, slice: slice(4n, 0, 10), mtime }]);
  assert.deepEqual(await meta.compactChunks([plan]), [true]);
  assert.deepEqual(
    (await meta.readChunk(ino, 0)).map(({ id }) => id),
    [9n, 3n, 4n],
  );
  assert.deepEqual(await meta.compactChunks([{ ...plan, slice: { ...plan.slice, id: 5n } }]), [
    false,
  ]);
  assert.deepEqual(
    (await meta.readChunk(ino, 0)).map(({ id }) => id),
    [9n, 3n, 4n],
  );
  await until("slices deleted", () => deleted.length === 2);
});

test("chunks that share the new slice count it, and other mounts are told that the data lies elsewhere", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  const other = await volume.open();
  await until("subscribed", () => other.meta.trust === "long");
  const a = await fill(meta, "a", [slice(1n, 0, 100), slice(2n, 0, 100)]);
  const b = await fill(meta, "b", [slice(3n, 0, 100), slice(4n, 0, 100)]);
  const both = [await replacement(meta, a, 9n), await replacement(meta, b, 9n, 100)];
  assert.deepEqual(await meta.compactChunks(both), [true, true]);
  assert.deepEqual(await volume.redis.hgetall("sliceRef"), { k9_4000: "1" });
  assert.equal((await volume.redis.hvals("delSlices"))[0]?.length, 48);
  await until("told", () =>
    other.notices.some(({ slices }) => slices.includes(a) && slices.includes(b)),
  );
});
