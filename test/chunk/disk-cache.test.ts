import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  chmod,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  statfs,
  utimes,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { log } from "../../src/base/log.ts";
import { VERIFY_LEVELS } from "../../src/chunk/block-file.ts";
import { cacheFolders } from "../../src/chunk/cache-folders.ts";
import { CacheRing, murmur3 } from "../../src/chunk/cache-ring.ts";
import { DiskCache, type DiskCacheOptions } from "../../src/chunk/disk-cache.ts";
import { makeDisk } from "../support/disk.ts";
import { makeFolder } from "../support/folder.ts";
import { until } from "../support/process.ts";

log.level = process.env["JUICEFS_LOG_LEVEL"] ?? "fatal";

const MIB = 1 << 20;

type Open = DiskCache & AsyncDisposable;

async function openCache(given: Partial<DiskCacheOptions> & { folders: string[] }): Promise<Open> {
  const cache = await DiskCache.open({
    ...{ mode: 0o600, verify: "extend", eviction: "2-random", capacityBytes: 1 << 30, items: 0 },
    ...{ freeRatio: 0.01, expireMs: 0, scanIntervalMs: 0, queueBytes: 32 * MIB },
    ...given,
  });
  await cache.scanned();
  return Object.assign(cache, { [Symbol.asyncDispose]: () => cache.close() });
}

function keyOf(id: number, size: number, index = 0): string {
  return `chunks/0/${Math.floor(id / 1000)}/${id}_${index}_${size}`;
}

async function get(
  cache: DiskCache,
  key: string,
  range?: { offset: number; length: number },
): Promise<Buffer | undefined> {
  const length = Number(key.split("_").at(-1));
  const into = new Uint8Array(new SharedArrayBuffer(range?.length ?? length));
  return (await cache.get(key, length, into, range)) ? Buffer.from(into) : undefined;
}

test("a block's file is its bytes and a checksum of each 32 KiB, as the format has it", async () => {
  await using folder = await makeFolder();
  await using cache = await openCache({ folders: [folder.path] });
  assert.equal(await cache.put("chunks/0/0/1_0_5", [Buffer.from("hel"), Buffer.from("lo")]), true);
  const file = await readFile(join(folder.path, "raw/chunks/0/0/1_0_5"));
  assert.equal(file.toString("hex"), "68656c6c6f" + "9a71bb4c");
  await cache.put(keyOf(2, 4 * MIB), [randomBytes(4 * MIB)]);
  const { size, mode } = await stat(join(folder.path, "raw", keyOf(2, 4 * MIB)));
  assert.deepEqual([size, mode & 0o777], [4_194_816, 0o600]);
  assert.equal((await stat(join(folder.path, "raw/chunks/0"))).mode & 0o777, 0o700);
  assert.match(await readFile(join(folder.path, ".lock"), "utf8"), /^[0-9a-f-]{36}$/);
  assert.equal((await stat(join(folder.path, ".lock"))).mode & 0o777, 0o666);
  await using open = await openCache({ folders: [join(folder.path, "open")], mode: 0o644 });
  await open.put("chunks/0/0/1_0_5", [Buffer.from("hello")]);
  assert.equal((await stat(join(folder.path, "open/raw/chunks"))).mode & 0o777, 0o777);
});

test("what was put comes back, whole and in ranges, at every level of checking", async () => {
  await using folder = await makeFolder();
  const data = randomBytes(200_001);
  const key = keyOf(7, data.length);
  for (const verify of VERIFY_LEVELS) {
    await using cache = await openCache({ folders: [join(folder.path, verify)], verify });
    await cache.put(key, [data.subarray(0, 77_777), data.subarray(77_777)]);
    assert.ok(data.equals((await get(cache, key)) ?? Buffer.alloc(0)));
    for (const [offset, length] of [
      [0, 1],
      [32_768, 32_768],
      [40_000, 60_000],
      [200_000, 1],
      [1, 200_000],
    ] as const) {
      const found = await get(cache, key, { offset, length });
      assert.deepEqual(found, data.subarray(offset, offset + length), `${verify} ${offset}`);
    }
    assert.equal(await get(cache, keyOf(8, 10)), undefined);
    const { hits, misses, blocks } = cache.counts();
    assert.deepEqual([hits, misses, blocks], [6, 1, 1]);
  }
});

test("many who read parts of a block for the first time, all at once, find it sound", async () => {
  await using folder = await makeFolder();
  await using cache = await openCache({ folders: [folder.path] });
  const data = randomBytes(MIB);
  for (let round = 0; round < 20; round++) {
    const key = keyOf(round, data.length);
    await cache.put(key, [data]);
    const offsets = Array.from({ length: 16 }, (_, at) => at * 60_000);
    const reads: Promise<Buffer | undefined>[] = [];
    for (const offset of offsets) {
      reads.push(get(cache, key, { offset, length: 4096 }));
      // The first one has the file open by now, perhaps, and its checksums not yet.
      await setImmediate();
    }
    const found = await Promise.all(reads);
    for (const [at, offset] of offsets.entries()) {
      assert.deepEqual(found[at], data.subarray(offset, offset + 4096));
    }
  }
  assert.equal(cache.counts().damaged, 0);
});

test("damage is found where it is looked for; the block is dropped and not handed out", async () => {
  await using folder = await makeFolder();
  const data = randomBytes(100_000);
  const key = keyOf(7, data.length);
  const path = join(folder.path, "raw", key);
  await mkdir(dirname(path), { recursive: true });
  const cases: [string, { offset: number; length: number } | undefined, boolean][] = [
    ["extend", undefined, true],
    ["extend", { offset: 70_000, length: 10 }, true],
    ["extend", { offset: 10, length: 10 }, false],
    ["shrink", { offset: 70_000, length: 10 }, false],
    ["shrink", { offset: 60_000, length: 40_000 }, true],
    ["full", { offset: 0, length: 99_999 }, false],
    ["full", undefined, true],
    ["none", undefined, false],
  ];
  for (const [verify, range, found] of cases) {
    {
      await using writer = await openCache({ folders: [folder.path] });
      await writer.remove(key);
      await writer.put(key, [data]);
    }
    const file = await readFile(path);
    file[70_005] = (file[70_005] ?? 0) ^ 1;
    await writeFile(path, file);
    await using cache = await openCache({
      folders: [folder.path],
      verify: verify as (typeof VERIFY_LEVELS)[number],
    });
    const name = `${verify} ${JSON.stringify(range)}`;
    assert.equal((await get(cache, key, range)) === undefined, found, name);
    assert.equal(cache.counts().damaged, found ? 1 : 0, name);
    assert.equal(await cache.holds(key), !found, name);
  }
});

test("files that others wrote are taken by their size: without checksums, with a note behind them", async () => {
  await using folder = await makeFolder();
  const place = async (id: number, extra: Buffer): Promise<void> => {
    const path = join(folder.path, "raw", keyOf(id, 10));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, Buffer.concat([Buffer.from("wwwwwwwwww"), extra]));
  };
  await place(1, Buffer.alloc(0));
  await place(2, Buffer.from("18b2d5ba", "hex"));
  await place(3, Buffer.from("18b2d5ba46530010" + "82a474696572cc02a3706164c4020000", "hex"));
  await place(4, Buffer.from("4653000e82a474696572cc02a3706164c400", "hex"));
  await place(5, Buffer.from("18b2d5bb", "hex"));
  await writeFile(join(folder.path, "raw", keyOf(6, 10)), "short");
  await using cache = await openCache({ folders: [folder.path] });
  const found = await Promise.all([1, 2, 3, 4, 5, 6].map((id) => get(cache, keyOf(id, 10))));
  assert.deepEqual(
    found.map((data) => data?.toString()),
    [...new Array<string>(4).fill("wwwwwwwwww"), undefined, undefined],
  );
});

test("several folders share the blocks as the format says, and a folder that goes moves only its own", async () => {
  assert.equal(murmur3("hello"), 0x248bfa47);
  const a = { id: "acc6f9c8-faa3-4a39-9fa5-1e8e9f1a7c4b" };
  const b = { id: "02aff9d2-b16e-445f-86d6-4135add9440f" };
  const ring = new CacheRing([a, b]);
  assert.equal(ring.of("chunks/14/0/8212_0_10"), a);
  assert.equal(ring.of("chunks/1E/0/8222_0_3"), b);
  const c = { id: "d6931383-fcbe-417f-9ff4-7e053de60179" };
  const three = new CacheRing([
    c,
    ...["015ab152-8db0-45d3-a521-2317b8fde4d8", "bf8c97a9-9f4a-40c8-a77d-6a186a17f4d9"].map(
      (id) => ({ id }),
    ),
  ]);
  assert.equal(three.of("chunks/0/0/1_1_65536"), c);

  await using folder = await makeFolder();
  const folders = ["one", "two", "three"].map((name) => join(folder.path, name));
  const keys = Array.from({ length: 60 }, (_, id) => keyOf(id + 1, 10));
  {
    await using cache = await openCache({ folders });
    for (const key of keys) await cache.put(key, [randomBytes(10)]);
  }
  const names = async (path: string): Promise<number> =>
    (await readdir(join(path, "raw/chunks"), { recursive: true, withFileTypes: true })).filter(
      (entry) => entry.isFile(),
    ).length;
  const shares = await Promise.all(folders.map(names));
  assert.ok(shares.every((share) => share > 0));
  await using fewer = await openCache({ folders: folders.slice(0, 2) });
  const kept = await Promise.all(keys.map((key) => get(fewer, key)));
  assert.equal(kept.filter((data) => data !== undefined).length, 60 - (shares[2] ?? 0));
});

test("what lies in a folder is found after a restart; leftovers of writers that died go", async () => {
  await using folder = await makeFolder();
  {
    await using cache = await openCache({ folders: [folder.path] });
    await cache.put(keyOf(1, 1000), [randomBytes(1000)]);
  }
  const half = join(folder.path, "raw", `${keyOf(2, 1000)}.tmp`);
  const empty = join(folder.path, "raw/chunks/0/9");
  await writeFile(half, "half");
  await mkdir(empty);
  const longAgo = new Date(Date.now() - 120_000);
  for (const path of [half, empty]) await utimes(path, longAgo, longAgo);
  await using cache = await openCache({ folders: [folder.path] });
  assert.deepEqual([cache.counts().blocks, cache.counts().bytes], [1, 1000 + 4096]);
  assert.ok((await get(cache, keyOf(1, 1000))) !== undefined);
  await assert.rejects(stat(half), { code: "ENOENT" });
  await assert.rejects(stat(empty), { code: "ENOENT" });
});

for (const eviction of ["2-random", "lru"] as const) {
  test(`${eviction}: a cache stays within its bytes and its number of blocks`, async () => {
    await using folder = await makeFolder();
    const limits = { capacityBytes: 50 * (10_000 + 4096), items: 40 };
    await using cache = await openCache({ folders: [folder.path], eviction, ...limits });
    for (let id = 1; id <= 200; id++) await cache.put(keyOf(id, 10_000), [randomBytes(10_000)]);
    await until("evicted", () => cache.counts().blocks <= 40);
    const files = await readdir(join(folder.path, "raw/chunks/0/0"));
    assert.ok(files.length <= 41, `${files.length} files`);
    assert.ok(cache.counts().evicted >= 160);
    if (eviction === "lru") assert.ok((await get(cache, keyOf(200, 10_000))) !== undefined);
  });
}

test("none: a full cache keeps what it has and takes nothing new", async () => {
  await using folder = await makeFolder();
  const limits = { capacityBytes: 10 * (10_000 + 4096) };
  await using cache = await openCache({ folders: [folder.path], eviction: "none", ...limits });
  for (let id = 1; id <= 30; id++) await cache.put(keyOf(id, 10_000), [randomBytes(10_000)]);
  assert.ok(cache.counts().blocks <= 11);
  assert.equal(cache.counts().evicted, 0);
  assert.ok((await get(cache, keyOf(1, 10_000))) !== undefined);
});

test("a part of the disk stays free, whatever the cache may take", async () => {
  await using disk = await makeDisk(4 * MIB);
  const folders = [join(disk.path, "cache")];
  await using cache = await openCache({ folders, freeRatio: 0.5 });
  for (let id = 1; id <= 40; id++) {
    await cache.put(keyOf(id, 100_000), [randomBytes(100_000)]);
  }
  await until("half of the disk is free", async () => {
    const { blocks, bfree } = await statfs(disk.path);
    return bfree >= blocks * 0.5 && cache.counts().blocks > 0;
  });
});

test("a disk that is full loses blocks, not requests, and is used again when it has room", async () => {
  await using disk = await makeDisk(2 * MIB);
  const folders = [join(disk.path, "cache")];
  await using cache = await openCache({ folders, freeRatio: 0 });
  await writeFile(join(disk.path, "others"), Buffer.alloc(1.9 * MIB));
  const key = keyOf(1, 500_000);
  assert.equal(await cache.put(key, [randomBytes(500_000)]), false);
  assert.equal(await get(cache, key), undefined);
  await rm(join(disk.path, "others"));
  await until("kept again", () => cache.put(key, [randomBytes(500_000)]));
  assert.ok((await get(cache, key)) !== undefined);
});

test("a disk that becomes read-only is read on, and written again when it can be", async () => {
  await using disk = await makeDisk(8 * MIB);
  const folders = [join(disk.path, "cache")];
  await using cache = await openCache({ folders });
  const [first, second] = [keyOf(1, 1000), keyOf(2, 1000)];
  await cache.put(first, [randomBytes(1000)]);
  await disk.remount("ro");
  assert.equal(await cache.put(second, [randomBytes(1000)]), false);
  assert.equal(cache.folders[0]?.state, "read-only");
  assert.ok((await get(cache, first)) !== undefined);
  await disk.remount("rw");
  await until("written again", () => cache.put(second, [randomBytes(1000)]));
});

test("a disk that goes away is lost, nothing is put where it was, and it is found again", async () => {
  await using disk = await makeDisk(8 * MIB);
  const folders = [join(disk.path, "cache")];
  await using cache = await openCache({ folders });
  const key = keyOf(1, 1000);
  const data = randomBytes(1000);
  await cache.put(key, [data]);
  await disk.unmount();
  await until("lost", async () => {
    assert.equal(await cache.put(keyOf(2, 1000), [data]), false);
    return cache.folders[0]?.state === "lost";
  });
  assert.deepEqual(await readdir(disk.path), []);
  assert.equal(await get(cache, key), undefined);
  await disk.mountAgain();
  await until("found again", async () => (await get(cache, key)) !== undefined, 30_000);
});

test("a folder that somebody emptied is begun anew", async () => {
  await using folder = await makeFolder();
  const path = join(folder.path, "cache");
  await using cache = await openCache({ folders: [path] });
  await cache.put(keyOf(1, 1000), [randomBytes(1000)]);
  await rm(path, { recursive: true });
  assert.equal(await get(cache, keyOf(1, 1000)), undefined);
  await until("kept again", () => cache.put(keyOf(2, 1000), [randomBytes(1000)]), 30_000);
  assert.ok((await get(cache, keyOf(2, 1000))) !== undefined);
});

test("a folder that cannot be made is told and does not stop anybody", async () => {
  await using folder = await makeFolder();
  await writeFile(join(folder.path, "file"), "");
  await using cache = await openCache({ folders: [join(folder.path, "file/cache")] });
  assert.equal(await cache.put(keyOf(1, 1000), [randomBytes(1000)]), false);
  assert.equal(await get(cache, keyOf(1, 1000)), undefined);
  await chmod(folder.path, 0o700);
});

test("blocks that wait to be written are read from memory; beyond the queue they are dropped or waited for", async () => {
  await using folder = await makeFolder();
  await using cache = await openCache({ folders: [folder.path], queueBytes: 300_000 });
  const data = randomBytes(100_000);
  const puts = [1, 2, 3, 4, 5].map((id) => cache.put(keyOf(id, data.length), [data]));
  assert.ok(data.equals((await get(cache, keyOf(3, data.length))) ?? Buffer.alloc(0)));
  const waiting = cache.put(keyOf(6, data.length), [data], { wait: true });
  const kept = await Promise.all(puts);
  assert.deepEqual(kept, [true, true, true, false, false]);
  assert.equal(cache.counts().dropped, 2);
  assert.equal(await waiting, true);
});

test("blocks that nobody used for so long go", async () => {
  await using folder = await makeFolder();
  await using cache = await openCache({ folders: [folder.path], expireMs: 1000 });
  await cache.put(keyOf(1, 1000), [randomBytes(1000)]);
  await until("expired", () => cache.counts().blocks === 0);
  await until(
    "deleted",
    async () => (await readdir(join(folder.path, "raw/chunks/0/0"))).length === 0,
  );
});

test("folders are named with colons or commas and patterns; memory is no folder", async () => {
  await using folder = await makeFolder();
  for (const name of ["disk2", "disk1", "other"]) await mkdir(join(folder.path, name));
  const below = (name: string): string => join(folder.path, name, "uuid");
  assert.deepEqual(cacheFolders(`${folder.path}/b:${folder.path}/a`, "uuid"), [
    ...[below("a"), below("b")],
  ]);
  assert.deepEqual(cacheFolders(`${folder.path}/b,${folder.path}/b`, "uuid"), [below("b")]);
  assert.deepEqual(cacheFolders(`${folder.path}/disk*`, "uuid"), [below("disk1"), below("disk2")]);
  assert.deepEqual(cacheFolders("memory", "uuid"), []);
  assert.throws(() => cacheFolders(`${folder.path}/none*`, "uuid"), /no folder matches it/);
});
