import assert from "node:assert/strict";
import { test } from "node:test";
import { BlockCache } from "../../src/chunk/block-cache.ts";
import { BlockJobs } from "../../src/chunk/block-jobs.ts";
import { BlockStore, type BlockId } from "../../src/chunk/block-store.ts";
import { SharedMemory } from "../../src/chunk/shared-memory.ts";
import { makeFolder } from "../support/folder.ts";

/** Which blocks stay in memory. */

const BLOCK = 64 << 10;
const CAPACITY = 32;
const BLOCKS = 100;

async function openCache(bucket: string): Promise<{ store: BlockStore; cache: BlockCache }> {
  const jobs = await BlockJobs.open({
    storage: {
      ...{ Name: "v", Storage: "file", Bucket: bucket, noSync: true },
      ...{ AccessKey: "", SecretKey: "", SessionToken: "" },
    },
    ...{ compression: "none", spoolFd: -1, ioRetries: 0, putTimeoutMs: 5000, getTimeoutMs: 5000 },
  });
  const store = new BlockStore(jobs, {
    ...{ blockSize: BLOCK, hashPrefix: false, maxUploads: 4, maxDownloads: 4, maxDeletes: 1 },
    rangeReads: true,
  });
  const memory = new SharedMemory(4 * BLOCK);
  return { store, cache: new BlockCache(store, memory, { capacityBytes: CAPACITY * BLOCK }) };
}

const block = (index: number): BlockId => ({ id: 1n, sliceSize: BLOCKS * BLOCK, index });

async function read(cache: BlockCache, index: number): Promise<void> {
  const found = await cache.get(block(index));
  assert.ok(found.data.every((byte) => byte === index % 256));
  cache.releaseLater([found]);
}

test("what a stream has read to its end makes room for what is read otherwise", async () => {
  await using folder = await makeFolder();
  const { store, cache } = await openCache(folder.path);
  for (let index = 0; index < BLOCKS; index++) {
    await store.put(1n, index, Buffer.alloc(BLOCK, index % 256));
  }
  const held = (from: number, to: number): number => {
    const indexes = Array.from({ length: to - from }, (_, at) => from + at);
    return indexes.filter((index) => cache.has(block(index))).length;
  };
  // Read here and there.
  for (let index = 0; index < 6; index++) await read(cache, index);
  for (let index = 10; index < BLOCKS; index++) {
    await read(cache, index);
    cache.spent(block(index));
    assert.ok(held(0, BLOCKS) <= 6 + CAPACITY / 4 + 1, `${held(0, BLOCKS)} blocks at ${index}`);
  }
  assert.equal(held(0, 6), 6);
  // Requests of the stream that come late find the last ones.
  assert.equal(held(BLOCKS - 4, BLOCKS), 4);
  await store.close();
});

test("without a stream the least recently read block goes first", async () => {
  await using folder = await makeFolder();
  const { store, cache } = await openCache(folder.path);
  for (let index = 0; index <= CAPACITY; index++) {
    await store.put(1n, index, Buffer.alloc(BLOCK, index % 256));
  }
  for (let index = 0; index < CAPACITY; index++) await read(cache, index);
  await read(cache, 0);
  await read(cache, CAPACITY);
  assert.deepEqual([cache.has(block(0)), cache.has(block(1))], [true, false]);
  await store.close();
});
