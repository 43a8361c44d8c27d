import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { log } from "../../src/base/log.ts";
import { DiskCache } from "../../src/chunk/disk-cache.ts";
import { Staging, type StagingOptions } from "../../src/chunk/staging.ts";
import { isUploadHour } from "../../src/chunk/upload-hours.ts";
import { parseHours } from "../../src/options/values.ts";
import { makeDisk } from "../support/disk.ts";
import { makeFolder } from "../support/folder.ts";
import { until } from "../support/process.ts";

log.level = process.env["JUICEFS_LOG_LEVEL"] ?? "fatal";

/** Where blocks are uploaded to: a map that can be made to fail, and to take its time. */
class Store {
  readonly objects = new Map<string, Buffer>();
  failing = false;
  /** It stores, and says that it could not. */
  unheard = false;
  begun = 0;
  held: Promise<void> | undefined;

  async upload({ key }: { key: string }, data: Uint8Array): Promise<void> {
    this.begun++;
    await this.held;
    if (this.failing) throw new Error("The store is down");
    this.objects.set(key, Buffer.from(data));
    if (this.unheard) throw new Error("The answer was lost");
  }

  async fetch({ key }: { key: string }, into: Uint8Array): Promise<void> {
    await this.held;
    const object = this.objects.get(key);
    if (object === undefined) throw new Error("There is no such object");
    into.set(object);
  }
}

interface Opened extends AsyncDisposable {
  readonly cache: DiskCache;
  readonly staging: Staging;
}

async function open(
  folder: string,
  store: Store,
  options: Partial<StagingOptions> = {},
): Promise<Opened> {
  const opened = await openAtOnce(folder, store, options);
  await opened.staging.found();
  return opened;
}

/** What was left is still looked for. */
async function openAtOnce(
  folder: string,
  store: Store,
  options: Partial<StagingOptions>,
): Promise<Opened> {
  const cache = await DiskCache.open({
    ...{ folders: [folder], mode: 0o600, verify: "extend", eviction: "2-random" },
    ...{ capacityBytes: 1 << 30, items: 0, freeRatio: 0.01, expireMs: 0 },
    ...{ scanIntervalMs: 0, queueBytes: 1 << 25 },
  });
  const staging = Staging.open(cache, store, {
    ...{ writeback: true, thresholdBytes: 0, delayMs: 0, maxWrites: 100, maxUploads: 4 },
    ...{ noSync: false, ...options },
  });
  return {
    ...{ cache, staging },
    async [Symbol.asyncDispose]() {
      await staging.close();
      await cache.close();
    },
  };
}

function keyOf(id: number, size: number): string {
  return `chunks/0/0/${id}_0_${size}`;
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

async function read(
  { cache, staging }: Opened,
  key: string,
  length: number,
): Promise<Buffer | undefined> {
  const into = Buffer.alloc(length);
  if (await cache.get(key, length, into)) return into;
  return (await staging.get(key, length, into)) ? into : undefined;
}

test("a staged block is on disk, read from there, uploaded, and a cached block then", async () => {
  await using folder = await makeFolder();
  const store = new Store();
  const held = Promise.withResolvers<void>();
  store.held = held.promise;
  await using opened = await open(folder.path, store);
  const data = randomBytes(100_000);
  const key = keyOf(1, data.length);
  assert.equal(await opened.staging.stage(key, [data.subarray(0, 10), data.subarray(10)]), true);
  const staged = await readFile(join(folder.path, "rawstaging", key));
  assert.ok(data.equals(staged.subarray(0, data.length)));
  assert.equal(staged.length, data.length + 16);
  assert.equal((await stat(join(folder.path, "raw", key))).nlink, 2);
  assert.ok(data.equals((await read(opened, key, data.length)) ?? Buffer.alloc(0)));
  const { blocks, bytes, oldest } = opened.staging.pending();
  assert.deepEqual([blocks, bytes], [1, 100_000]);
  assert.ok((oldest ?? 0) > Date.now() - 60_000);
  held.resolve();
  await until("uploaded", () => opened.staging.pending().blocks === 0);
  assert.ok(data.equals(store.objects.get(key) ?? Buffer.alloc(0)));
  assert.deepEqual(await filesIn(join(folder.path, "rawstaging")), []);
  assert.equal((await stat(join(folder.path, "raw", key))).nlink, 1);
  assert.deepEqual(opened.cache.counts().blocks, 1);
});

test("what a process left is uploaded by the next one, whoever it was, also without write-back", async () => {
  await using folder = await makeFolder();
  const store = new Store();
  store.failing = true;
  const data = randomBytes(50_000);
  {
    await using first = await open(folder.path, store);
    assert.equal(await first.staging.stage(keyOf(1, data.length), [data]), true);
    assert.equal((await first.staging.close()).blocks, 1);
  }
  const path = join(folder.path, "rawstaging", keyOf(2, 5));
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, "hello");
  for (const name of ["3_0_0", "README", "4_0_9.tmp"]) {
    await writeFile(join(dirname(path), name), "");
  }
  store.failing = false;
  await using second = await open(folder.path, store, { writeback: false });
  assert.equal(await second.staging.stage(keyOf(9, data.length), [data]), false);
  assert.deepEqual((await second.staging.drain()).blocks, 0);
  assert.ok(data.equals(store.objects.get(keyOf(1, data.length)) ?? Buffer.alloc(0)));
  assert.equal(store.objects.get(keyOf(2, 5))?.toString(), "hello");
  assert.deepEqual((await filesIn(join(folder.path, "rawstaging"))).toSorted(), [
    ...["3_0_0", "4_0_9.tmp", "README"],
  ]);
});

test("what a process left is read and removed at once, while the rest is still looked for", async () => {
  await using folder = await makeFolder();
  const store = new Store();
  const options = { delayMs: 3_600_000 };
  const keys = Array.from({ length: 50 }, (_, id) => keyOf(id, 10));
  const data = randomBytes(10);
  {
    await using first = await open(folder.path, store, options);
    for (const key of keys) await first.staging.stage(key, [data]);
  }
  // The links of what is cached are not synced: a power loss may take them.
  await rm(join(folder.path, "raw"), { recursive: true });
  await using second = await openAtOnce(folder.path, store, options);
  const last = keys.at(-1) ?? "";
  const [removed, ...found] = await Promise.all([
    second.staging.remove(last),
    ...keys.slice(0, -1).map((key) => read(second, key, 10)),
  ]);
  assert.equal(removed, false, "the process before may have stored it");
  for (const bytes of found) assert.deepEqual(bytes, data);
  await second.staging.found();
  assert.equal(second.staging.pending().blocks, keys.length - 1);
});

test("an upload that fails leaves the block where it is and is tried again", async () => {
  await using folder = await makeFolder();
  const store = new Store();
  store.failing = true;
  await using opened = await open(folder.path, store);
  const key = keyOf(1, 10);
  await opened.staging.stage(key, [randomBytes(10)]);
  await until("failed", () => opened.staging.pending().failure !== undefined, 30_000);
  assert.match(opened.staging.pending().failure ?? "", /The store is down/);
  assert.equal(opened.staging.pending().blocks, 1);
  assert.deepEqual(await filesIn(join(folder.path, "rawstaging")), ["1_0_10"]);
  store.failing = false;
  assert.equal((await opened.staging.drain()).blocks, 0);
  assert.ok(store.objects.has(key));
});

test("a block waits for its delay and for the hours of uploads, unless it is to go now", async () => {
  await using folder = await makeFolder();
  const store = new Store();
  const hour = new Date().getHours();
  const hours = { start: (hour + 2) % 24, end: (hour + 3) % 24 };
  for (const options of [{ delayMs: 3_600_000 }, { hours }]) {
    const data = randomBytes(10);
    {
      await using opened = await open(folder.path, store, options);
      await opened.staging.stage(keyOf(1, 10), [data]);
      assert.equal((await opened.staging.close()).blocks, 1);
    }
    {
      // The delay counts from when it was staged.
      await using again = await open(folder.path, store, options);
      assert.equal(again.staging.pending().blocks, 1);
      assert.equal(store.objects.size, 0);
      assert.equal((await again.staging.drain()).blocks, 0);
      assert.equal(store.objects.size, 1);
    }
    store.objects.clear();
  }
  const path = join(folder.path, "rawstaging", keyOf(2, 5));
  await writeFile(path, "hello");
  await utimes(path, new Date(0), new Date(0));
  await using late = await open(folder.path, store, { delayMs: 3_600_000 });
  await until("uploaded", () => late.staging.pending().blocks === 0);
});

test("blocks that are too long, too many at once or find no room are not taken", async () => {
  await using folder = await makeFolder();
  const store = new Store();
  {
    await using opened = await open(folder.path, store, { thresholdBytes: 1000, maxWrites: 2 });
    const { staging } = opened;
    assert.equal(await staging.stage(keyOf(1, 1000), [randomBytes(1000)]), false);
    const taken = await Promise.all(
      [2, 3, 4, 5].map((id) => staging.stage(keyOf(id, 999), [randomBytes(999)])),
    );
    assert.deepEqual(taken, [true, true, false, false]);
  }
  await using disk = await makeDisk(1 << 20);
  await using opened = await open(join(disk.path, "cache"), store);
  assert.equal(await opened.staging.stage(keyOf(6, 10), [randomBytes(10)]), true);
  const large = 2 << 20;
  assert.equal(await opened.staging.stage(keyOf(7, large), [randomBytes(large)]), false);
  await until("nothing staged", () => opened.staging.pending().blocks === 0);
});

test("a staged block is not evicted, and read where it is staged when it is not cached", async () => {
  await using folder = await makeFolder();
  const store = new Store();
  await using opened = await open(folder.path, store, { delayMs: 3_600_000 });
  const data = randomBytes(1000);
  await opened.staging.stage(keyOf(1, 1000), [data]);
  await opened.cache.remove(keyOf(1, 1000));
  assert.ok(data.equals((await read(opened, keyOf(1, 1000), 1000)) ?? Buffer.alloc(0)));
  assert.equal(await read(opened, keyOf(2, 1000), 1000), undefined);
});

test("a block whose slice is deleted is not uploaded; one that is on its way arrives before its object is deleted", async () => {
  await using folder = await makeFolder();
  const store = new Store();
  await using opened = await open(folder.path, store, { delayMs: 3_600_000 });
  await opened.staging.stage(keyOf(1, 10), [randomBytes(10)]);
  assert.equal(await opened.staging.remove(keyOf(1, 10)), true);
  assert.equal(opened.staging.pending().blocks, 0);
  assert.deepEqual(await filesIn(folder.path), [".lock"]);

  const held = Promise.withResolvers<void>();
  store.held = held.promise;
  await opened.staging.stage(keyOf(2, 10), [randomBytes(10)]);
  const drained = opened.staging.drain();
  await until("on its way", () => store.begun > 0);
  let removed = false;
  const removing = opened.staging.remove(keyOf(2, 10)).then((alone) => {
    removed = true;
    return alone;
  });
  await new Promise(setImmediate);
  assert.equal(removed, false, "who deletes it too early leaves it for ever");
  held.resolve();
  assert.equal(await removing, false, "it is to be deleted");
  assert.deepEqual([...store.objects.keys()], [keyOf(2, 10)]);
  assert.equal((await drained).blocks, 0);
  assert.deepEqual(await filesIn(folder.path), [".lock"]);
});

test("an object that may be there when its slice is deleted is to be deleted", async () => {
  await using folder = await makeFolder();
  const store = new Store();
  const [key, other, third] = [keyOf(1, 10), keyOf(2, 10), keyOf(3, 10)];
  {
    await using opened = await open(folder.path, store);
    store.unheard = true;
    await opened.staging.stage(key, [randomBytes(10)]);
    await opened.staging.stage(other, [randomBytes(10)]);
    await until("given up for now", () => {
      return opened.staging.pending().failure === "The answer was lost";
    });
    assert.equal(await opened.staging.remove(key), false);
    assert.equal(opened.staging.pending().blocks, 1);
  }
  await using next = await open(folder.path, store, { delayMs: 3_600_000 });
  assert.equal(await next.staging.remove(other), false, "what a process before may have stored");
  await next.staging.stage(third, [randomBytes(10)], true);
  assert.equal(await next.staging.remove(third), false, "so too where it is staged once more");
  assert.equal(next.staging.pending().blocks, 0);
});

test("draining ends when the last block that waits is removed", async () => {
  await using folder = await makeFolder();
  const store = new Store();
  store.failing = true;
  await using opened = await open(folder.path, store);
  await opened.staging.stage(keyOf(1, 10), [randomBytes(10)]);
  const drained = opened.staging.drain(AbortSignal.timeout(30_000));
  await until("given up for now", () => opened.staging.pending().failure !== undefined);
  const begun = performance.now();
  assert.equal(await opened.staging.remove(keyOf(1, 10)), false);
  assert.equal((await drained).blocks, 0);
  assert.ok(performance.now() - begun < 3000);
});

test("a staged block that is damaged is never uploaded, and stays for whoever can mend it", async () => {
  await using folder = await makeFolder();
  const store = new Store();
  const path = join(folder.path, "rawstaging", keyOf(1, 5));
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, Buffer.from("68656c6c6f" + "9a71bb4d", "hex"));
  await using opened = await open(folder.path, store);
  await until("looked at", () => opened.staging.pending().failure !== undefined);
  assert.equal(store.objects.size, 0);
  assert.equal(opened.staging.pending().blocks, 1);
  assert.deepEqual(await filesIn(join(folder.path, "rawstaging")), ["1_0_5"]);
});

test("what a process left and the next one stages once more is uploaded, whoever is faster", async () => {
  await using folder = await makeFolder();
  const data = randomBytes(1000);
  const keys = Array.from({ length: 20 }, (_, at) => keyOf(at + 1, data.length));
  const left = new Store();
  left.failing = true;
  {
    await using first = await open(folder.path, left);
    for (const key of keys) assert.equal(await first.staging.stage(key, [data]), true);
  }
  const store = new Store();
  const held = Promise.withResolvers<void>();
  store.held = held.promise;
  await using second = await open(folder.path, store, { maxUploads: keys.length });
  const path = join(folder.path, "rawstaging", keys[0] ?? "");
  const before = statSync(path).ino;
  const staged = Promise.all(keys.map((key) => second.staging.stage(key, [data])));
  // What is on its way arrives just when it is on disk once more.
  const written = async (): Promise<void> => {
    for (let turns = 0; turns < 100_000 && statSync(path).ino === before; turns++) {
      await new Promise(setImmediate);
    }
  };
  await Promise.race([staged, written()]);
  held.resolve();
  for (const [at, taken] of (await staged).entries()) {
    if (!taken) await store.upload({ key: keys[at] ?? "" }, data);
  }
  const { blocks, failure } = await second.staging.drain(AbortSignal.timeout(10_000));
  assert.deepEqual([blocks, failure], [0, undefined]);
  assert.deepEqual([...store.objects.keys()].toSorted(), keys.toSorted());
  assert.deepEqual(await filesIn(join(folder.path, "rawstaging")), []);
});

test("a staged block that somebody took away keeps nobody from draining, and is told", async () => {
  await using folder = await makeFolder();
  await using opened = await open(folder.path, new Store(), { delayMs: 3_600_000 });
  const key = keyOf(1, 10);
  await opened.staging.stage(key, [randomBytes(10)]);
  await rm(join(folder.path, "rawstaging", key));
  const { blocks, failure } = await opened.staging.drain(AbortSignal.timeout(10_000));
  assert.deepEqual([blocks, failure], [1, "its file is gone"]);
});

test("staged blocks of a disk that goes away and comes back are uploaded then", async () => {
  await using disk = await makeDisk(8 << 20);
  const store = new Store();
  await using opened = await open(join(disk.path, "cache"), store, { delayMs: 200 });
  const [key, data] = [keyOf(1, 10), randomBytes(10)];
  assert.equal(await opened.staging.stage(key, [data]), true);
  await disk.unmount();
  await until("looked for", () => opened.staging.pending().failure === "its file is gone");
  await disk.mountAgain();
  await until("uploaded", () => opened.staging.pending().blocks === 0, 15_000);
  assert.deepEqual(store.objects.get(key), data);
});

test("draining gives up when it is told to, and says what is left", async () => {
  await using folder = await makeFolder();
  const store = new Store();
  store.failing = true;
  await using opened = await open(folder.path, store);
  await opened.staging.stage(keyOf(1, 10), [randomBytes(10)]);
  assert.equal((await opened.staging.drain(AbortSignal.timeout(300))).blocks, 1);
});

test("hours of uploads may reach over midnight", () => {
  const at = (hour: number): Date => new Date(2026, 0, 1, hour, 30);
  const night = parseHours("22-6");
  assert.deepEqual(
    [21, 22, 23, 0, 5, 6].map((hour) => isUploadHour(night, at(hour))),
    [...[false, true, true, true, true, false]],
  );
  const day = parseHours("8,20");
  assert.deepEqual(
    [7, 8, 19, 20].map((hour) => isUploadHour(day, at(hour))),
    [...[false, true, true, false]],
  );
  assert.ok(isUploadHour(parseHours("3-3"), at(12)));
  for (const wrong of ["24-1", "5", "a-b", "1-2-3"]) {
    assert.throws(() => parseHours(wrong), /expected two hours from 0 to 23/);
  }
});

test("two mounts of one machine share a folder: what one staged the other reads and may upload", async () => {
  await using folder = await makeFolder();
  const store = new Store();
  const key = keyOf(1, 5000);
  const data = randomBytes(5000);
  await using one = await open(folder.path, store, { delayMs: 3_600_000 });
  await using early = await open(folder.path, store, { delayMs: 3_600_000 });
  assert.equal(await one.staging.stage(key, [data]), true);
  assert.deepEqual(await read(early, key, data.length), data);
  assert.equal(early.staging.pending().blocks, 0, "it is the other one's to upload");

  // One that begins later takes it for what a process before left.
  await using late = await open(folder.path, store);
  assert.equal((await late.staging.drain()).blocks, 0);
  assert.deepEqual(store.objects.get(key), data);
  const { blocks, failure } = await one.staging.drain();
  assert.deepEqual([blocks, failure], [0, undefined]);
});

test("an object that another mount of the machine made of a staged block is known to be there", async () => {
  await using folder = await makeFolder();
  const store = new Store();
  const key = keyOf(1, 5000);
  await using one = await open(folder.path, store, { delayMs: 3_600_000 });
  await one.staging.stage(key, [randomBytes(5000)]);
  await using late = await open(folder.path, store);
  await late.staging.drain();
  assert.equal(await one.staging.remove(key), false, "it is to be deleted");
});
