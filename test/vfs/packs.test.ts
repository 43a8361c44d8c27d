import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import type { BlockStore } from "../../src/chunk/block-store.ts";
import { Spool } from "../../src/chunk/spool.ts";
import type { DirtyJournal } from "../../src/vfs/dirty-journal.ts";
import type { LooseSlices } from "../../src/vfs/loose-slices.ts";
import { PendingSlice } from "../../src/vfs/pending-slice.ts";
import { SliceUploads } from "../../src/vfs/slice-uploads.ts";
import { makeFolder } from "../support/folder.ts";
import { until } from "../support/process.ts";

/** What is stored together while other objects are under way. */

interface Put {
  readonly size: number;
  readonly arrive: () => void;
}

const BYTES = 10;

/** Uploads into a store whose puts arrive when they are told to. */
async function startUploads() {
  const folder = await makeFolder();
  const spool = new Spool(join(folder.path, "spool"));
  const puts: Put[] = [];
  let number = 0;
  const uploads = new SliceUploads({
    store: {
      blockSize: 4 << 20,
      put: (_id: bigint, _index: number, { size }: { size: number }) =>
        new Promise<void>((arrive) => puts.push({ size, arrive })),
    } as unknown as BlockStore,
    newSliceId: () => BigInt(++number),
    journal: { identity: () => undefined } as unknown as DirtyJournal,
    loose: {} as unknown as LooseSlices,
    packBytes: 1000,
    stored: () => undefined,
  });
  return {
    ...{ puts, uploads },
    /** So many files are flushed at the same time. */
    flush: async (count: number): Promise<void> => {
      for (let at = 0; at < count; at++) {
        const place = { ino: BigInt(++number), chunkIndex: 0, pos: 0, append: false };
        const slice = new PendingSlice(place, { number, sequence: 0 }, spool);
        slice.write(0, Buffer.alloc(BYTES), { sec: 0, nsec: 0 });
        uploads.finish(slice, false);
      }
      uploads.hurry();
      for (let turn = 0; turn < 100; turn++) await setImmediate();
    },
    sizes: (): number[] => puts.map(({ size }) => size / BYTES),
    async [Symbol.asyncDispose]() {
      spool.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

test("what is flushed while two objects are under way travels together, and few wait for many", async () => {
  await using started = await startUploads();
  const { puts, flush, sizes } = started;
  await flush(1);
  await flush(3);
  await flush(1);
  assert.deepEqual(sizes(), [1, 3]);
  puts[0]?.arrive();
  await flush(1);
  assert.deepEqual(sizes(), [1, 3], "two wait for three");
  await flush(1);
  assert.deepEqual(sizes(), [1, 3, 3], "three wait for none");
});

test("few go when many have arrived, or are held up", async () => {
  await using started = await startUploads();
  const { puts, flush, sizes, uploads } = started;
  await flush(5);
  await flush(1);
  assert.deepEqual(sizes(), [5]);
  puts[0]?.arrive();
  await until("it goes", () => sizes().length === 2);
  await flush(3);
  assert.deepEqual(sizes(), [5, 1, 3]);
  puts[1]?.arrive();
  await flush(1);
  assert.deepEqual(sizes(), [5, 1, 3]);
  await sleep(150);
  uploads.tick();
  await until("it goes past them", () => sizes().join() === "5,1,3,1");
});

test("what fills an object goes at once", async () => {
  await using started = await startUploads();
  await started.flush(60);
  await started.flush(100);
  assert.deepEqual(started.sizes(), [60, 100]);
});
