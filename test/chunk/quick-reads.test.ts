import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BlockJobs } from "../../src/chunk/block-jobs.ts";
import { BlockStore } from "../../src/chunk/block-store.ts";
import { QuickReads } from "../../src/chunk/quick-reads.ts";
import { makeFolder } from "../support/folder.ts";
import { until } from "../support/process.ts";

const PART = { offset: 1000, length: 100 };

/** Files below a folder that this process has open, also those that are gone. */
function openBelow(folder: string): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(`${folder}/`) ? [path] : [];
    } catch {
      return [];
    }
  });
}

/** Reads until nothing is held up by a disk. */
async function readOnce(reads: () => boolean): Promise<void> {
  await until("a read", reads);
}

test("a file with a note and no checksums is read, one that ends early is not left open", async () => {
  await using folder = await makeFolder();
  const quick = new QuickReads();
  const data = randomBytes(100_000);
  const into = Buffer.alloc(PART.length);
  const [noted, short] = [join(folder.path, "noted"), join(folder.path, "short")];
  writeFileSync(noted, Buffer.concat([data, Buffer.alloc(18)]));
  writeFileSync(short, Buffer.concat([data, Buffer.alloc(4)]));
  const file = { length: data.length, checked: true };
  await readOnce(() => quick.read("noted", { path: noted, ...file }, { range: PART, into }));
  assert.deepEqual(into, data.subarray(1000, 1100));
  for (let count = 0; count < 3; count++) {
    assert.equal(quick.read("short", { path: short, ...file }, { range: PART, into }), false);
  }
  assert.deepEqual(openBelow(folder.path), [noted]);
  quick.close();
  assert.deepEqual(openBelow(folder.path), []);
});

test("what somebody else removes is let go after a while", async () => {
  await using folder = await makeFolder();
  const quick = new QuickReads(200);
  const path = join(folder.path, "block");
  writeFileSync(path, randomBytes(5000));
  const into = Buffer.alloc(PART.length);
  const file = { path, length: 5000, checked: false };
  await readOnce(() => quick.read("block", file, { range: PART, into }));
  rmSync(path);
  assert.equal(openBelow(folder.path).length, 1);
  await until("closed", () => openBelow(folder.path).length === 0);
});

test("an object in a folder that was read is not held when its slice is deleted", async () => {
  await using folder = await makeFolder();
  mkdirSync(join(folder.path, "objects"));
  const jobs = await BlockJobs.open({
    storage: {
      ...{ Name: "v", Storage: "file", Bucket: join(folder.path, "objects"), noSync: true },
      ...{ AccessKey: "", SecretKey: "", SessionToken: "" },
    },
    ...{ compression: "", spoolFd: -1, ioRetries: 0, putTimeoutMs: 1000, getTimeoutMs: 1000 },
  });
  const store = new BlockStore(jobs, {
    ...{ blockSize: 1 << 16, hashPrefix: false, rangeReads: true },
    ...{ maxUploads: 4, maxDownloads: 4, maxDeletes: 4 },
    localPath: (key) => jobs.localPath(key),
  });
  const data = randomBytes(5000);
  await store.put(1n, 0, data);
  const into = Buffer.alloc(PART.length);
  const block = { id: 1n, sliceSize: data.length, index: 0 };
  await readOnce(() => store.readQuickly(block, PART, into));
  assert.deepEqual(into, data.subarray(1000, 1100));
  await store.deleteSlice(1n, data.length);
  assert.deepEqual(openBelow(folder.path), []);
  await store.close();
});
