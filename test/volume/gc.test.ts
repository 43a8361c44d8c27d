import assert from "node:assert/strict";
import { randomBytes, randomInt } from "node:crypto";
import { link, mkdir, open, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Redis } from "ioredis";
import { ROOT_INO, TYPE_FILE } from "../../src/meta/limits.ts";
import { encodeSlice } from "../../src/meta/slice.ts";
import type { SliceCommit } from "../../src/meta/types.ts";
import type { GcResult } from "../../src/volume/gc.ts";
import { openTool, type Tool } from "../../src/volume/open-tool.ts";
import type { ObjectCheck } from "../../src/volume/fsck.ts";
import { ROOT_CALLER } from "../support/meta.ts";
import {
  formatTestVolume,
  juicefs,
  mountVolume,
  officialJuicefs,
  type TestVolumeOnDisk,
} from "../support/mount.ts";
import { until } from "../support/process.ts";

const LONG_AGO = new Date(Date.now() - 7_200_000);

async function gc({ metaUrl }: TestVolumeOnDisk, ...args: string[]): Promise<GcResult> {
  return JSON.parse((await juicefs("gc", metaUrl, ...args)).stdout) as GcResult;
}

async function officialGc({ metaUrl }: TestVolumeOnDisk): Promise<string> {
  const { stdout, stderr } = await officialJuicefs("gc", metaUrl);
  return /scanned .*/.exec(stdout + stderr)?.[0] ?? "";
}

function chunks({ folder }: TestVolumeOnDisk): string {
  return join(folder, "objects", "test-volume", "chunks");
}

/** The names of all objects below `chunks/`. */
async function objects(volume: TestVolumeOnDisk): Promise<string[]> {
  const found = await readdir(chunks(volume), { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .toSorted();
}

/** Makes every object of a volume two hours old. */
async function age(volume: TestVolumeOnDisk): Promise<void> {
  const found = await readdir(chunks(volume), { recursive: true, withFileTypes: true });
  for (const entry of found.filter((one) => one.isFile())) {
    await utimes(join(entry.parentPath, entry.name), LONG_AGO, LONG_AGO);
  }
}

async function putObject(volume: TestVolumeOnDisk, name: string, when?: Date): Promise<void> {
  const path = join(chunks(volume), "0", "0", name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, Buffer.alloc(Number.parseInt(name.split("_")[2] ?? "10", 10)));
  if (when !== undefined) await utimes(path, when, when);
}

async function withRedis<T>(
  volume: TestVolumeOnDisk,
  use: (redis: Redis) => Promise<T>,
): Promise<T> {
  const redis = new Redis(volume.metaUrl, { protocol: 2 });
  try {
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}

const SMALL = ["--block-size", "64K", "--trash-days", "0"];

test("old objects that nothing refers to are found and deleted, young ones and others never", async () => {
  await using volume = await formatTestVolume({ format: SMALL });
  const data = randomBytes(200_000);
  {
    await using mount = await mountVolume(volume);
    await writeFile(join(mount.path, "file"), data);
  }
  await age(volume);
  const valid = await objects(volume);
  assert.equal(valid.length, 4);
  const [slice = ""] = valid[0]?.split("_") ?? [];
  // Of no slice; of the file's slice but not as it is cut; too young; no block at all; half-written.
  await putObject(volume, "4001_0_100", LONG_AGO);
  await putObject(volume, `${slice}_9_65536`, LONG_AGO);
  await putObject(volume, `${slice}_3_3391`, LONG_AGO);
  await putObject(volume, "4002_0_77");
  await putObject(volume, "README", LONG_AGO);
  await putObject(volume, ".jfs.4003_0_9.tmp.ab", LONG_AGO);

  const found = await gc(volume);
  assert.deepEqual(found.scanned.objects, 9);
  assert.deepEqual(found.valid, { objects: 4, bytes: 200_000 });
  assert.deepEqual(found.leaked, { objects: 3, bytes: 100 + 65_536 + 3391 });
  assert.deepEqual(found.skipped, { objects: 1, bytes: 77 });
  assert.equal(found.unknown.objects, 1);
  assert.equal(found.deleted, undefined);
  assert.equal((await objects(volume)).length, 10);

  const deleted = await gc(volume, "--delete");
  assert.deepEqual(deleted.deleted, { objects: 3, bytes: 69_027, abandoned: 1 });
  assert.deepEqual(await objects(volume), [...valid, "4002_0_77", "README"].toSorted());
  assert.match(await officialGc(volume), /4 valid, .* 1 leaked \(77 bytes\)/);
  await using mount = await mountVolume(volume);
  assert.ok(data.equals(await readFile(join(mount.path, "file"))));
});

test("an object that several files share stays until the last of them is gone", async () => {
  await using volume = await formatTestVolume({ format: ["--trash-days", "0"] });
  await using mount = await mountVolume(volume);
  const names = ["a", "b", "c", "d"];
  const contents = names.map(() => randomBytes(5000));
  const files = await Promise.all(names.map((name) => open(join(mount.path, name), "w")));
  await Promise.all(files.map((file, at) => file.write(contents[at] ?? Buffer.alloc(0))));
  await Promise.all(files.map((file) => file.sync()));
  for (const file of files) await file.close();
  const shared = (await objects(volume)).length;
  assert.ok(shared < names.length, `${shared} objects`);
  for (const [at, name] of names.entries()) {
    await age(volume);
    const { valid, leaked, pending } = await gc(volume, "--delete");
    assert.ok(valid.objects > 0);
    assert.deepEqual([leaked.objects, pending.objects], [0, 0]);
    for (const [other, content] of contents.entries()) {
      if (other < at) continue;
      assert.ok(content.equals(await readFile(join(mount.path, names[other] ?? ""))));
    }
    await rm(join(mount.path, name));
    await until("what was removed is deleted", () =>
      withRedis(volume, async (redis) => {
        const counts = await redis.hvals("sliceRef");
        return counts.every((count) => Number(count) >= 0) && (await redis.zcard("delfiles")) === 0;
      }),
    );
  }
  await until("the last object gone", async () => (await objects(volume)).length === 0);
});

/** Writes files of `size` bytes as one slice that they share. */
async function writeTogether(
  { meta, copy }: Tool,
  names: readonly string[],
  size: number,
): Promise<Map<string, Buffer>> {
  const id = await meta.newSliceId();
  const data = randomBytes(names.length * size);
  await copy.store.put(id, 0, data);
  const contents = new Map<string, Buffer>();
  const commits: SliceCommit[] = [];
  for (const [at, name] of names.entries()) {
    const off = at * size;
    const node = { type: TYPE_FILE, mode: 0o644, umask: 0 };
    const { ino } = await meta.create(ROOT_CALLER, ROOT_INO, Buffer.from(name), node);
    const slice = { pos: 0, id, size: data.length, off, len: size };
    commits.push({ ino, chunkIndex: 0, slice, mtime: { sec: 1_700_000_000, nsec: 0 } });
    contents.set(name, data.subarray(off, off + size));
  }
  await meta.commitSlices(commits);
  return contents;
}

test("what is left of slices that many files shared is written together anew", async () => {
  for (const compress of ["none", "lz4"]) {
    const format = ["--trash-days", "0", "--compress", compress];
    await using volume = await formatTestVolume({ format });
    const contents = new Map<string, Buffer>();
    {
      await using tool = await openTool(volume.metaUrl, "test");
      for (const pack of ["a", "b", "c"]) {
        const names = Array.from({ length: 40 }, (_, at) => `${pack}${at}`);
        const files = await writeTogether(tool, names, 5000);
        for (const name of ["0", "7", "39"].map((at) => pack + at)) {
          contents.set(name, files.get(name) ?? Buffer.alloc(0));
        }
      }
    }
    await using mount = await mountVolume(volume);
    for (const name of await readdir(mount.path)) {
      if (!contents.has(name)) await rm(join(mount.path, name));
    }
    const before = await gc(volume);
    assert.deepEqual(before.valid.objects, 3);
    const { repacked } = await gc(volume, "--compact");
    assert.deepEqual(repacked, { chunks: 9, bytes: 45_000 });
    await until("only what is used", async () => (await objects(volume)).length === 1);
    for (const [name, data] of contents) {
      assert.ok(data.equals(await readFile(join(mount.path, name))), name);
    }
    assert.equal((await fsck(volume)).code, 0);
    assert.match(await officialGc(volume), /scanned 1 objects, 1 valid, .* 0 leaked/);
    for (const name of contents.keys()) await rm(join(mount.path, name));
    await until("everything gone", async () => (await objects(volume)).length === 0);
  }
});

test("what a compaction replaced is kept, given up when its time is over, and then gone", async () => {
  await using volume = await formatTestVolume({ format: ["--block-size", "64K"] });
  const mirror = randomBytes(100_000);
  {
    await using mount = await mountVolume(volume);
    const path = join(mount.path, "file");
    await writeFile(path, mirror);
    for (let round = 0; round < 4; round++) {
      await using file = await open(path, "r+");
      const page = randomBytes(4096);
      const at = randomInt(mirror.length - page.length);
      page.copy(mirror, at);
      await file.write(page, 0, page.length, at);
      await file.sync();
    }
  }
  await age(volume);
  const compacted = await gc(volume, "--compact");
  assert.equal(compacted.compaction?.chunks, 1);
  assert.ok((compacted.compaction?.records ?? 0) >= 5);
  assert.ok(compacted.compacted.objects >= 5);
  assert.equal(compacted.leaked.objects, 0);
  await withRedis(volume, async (redis) => {
    assert.equal(await redis.llen("c2_0"), 1);
    const [field = ""] = await redis.hkeys("delSlices");
    const records = (await redis.hgetBuffer("delSlices", field)) ?? Buffer.alloc(0);
    await redis.hset("delSlices", `${field.split("_")[0]}_1000000000`, records);
    await redis.hdel("delSlices", field);
  });
  const deleted = await gc(volume, "--delete");
  assert.ok((deleted.cleanedUp?.slices ?? 0) >= 5);
  assert.deepEqual(deleted.compacted, { objects: 0, bytes: 0 });
  assert.deepEqual(deleted.valid, { objects: 2, bytes: 100_000 });
  assert.match(await officialGc(volume), /scanned 2 objects, 2 valid, .* 0 leaked/);
  await using mount = await mountVolume(volume);
  assert.ok(mirror.equals(await readFile(join(mount.path, "file"))));
});

test("chunks of inodes that are gone and counts that lead nowhere are told and cleaned", async () => {
  await using volume = await formatTestVolume({ format: SMALL });
  await putObject(volume, "5000_0_100", LONG_AGO);
  await putObject(volume, "5001_0_100", LONG_AGO);
  await putObject(volume, "5002_0_100", LONG_AGO);
  const record = encodeSlice({ pos: 0, id: 5000n, size: 100, off: 0, len: 100 });
  await withRedis(volume, async (redis) => {
    await redis.rpush("c777_3", record);
    await redis.hset("sliceRef", "k5001_100", "2", "k5002_100", "-1");
  });
  const found = await gc(volume);
  assert.equal(found.leftOverChunks, 1);
  assert.deepEqual([found.valid.objects, found.leaked.objects, found.pending.objects], [1, 1, 1]);
  await gc(volume, "--delete");
  assert.deepEqual(await objects(volume), []);
  await withRedis(volume, async (redis) => {
    assert.deepEqual(await redis.keys("c*"), []);
  });
});

async function fsck({ metaUrl }: TestVolumeOnDisk): Promise<{ code: number; found: ObjectCheck }> {
  const { code, stdout } = await juicefs("fsck", metaUrl).then(
    (done) => ({ code: 0, ...done }),
    (error: unknown) => error as { code: number; stdout: string },
  );
  return { code, found: JSON.parse(stdout) as ObjectCheck };
}

test("fsck names the files whose objects are missing, by all their paths, and no others", async () => {
  await using volume = await formatTestVolume({ format: SMALL });
  {
    await using mount = await mountVolume(volume);
    await mkdir(join(mount.path, "dir/deep"), { recursive: true });
    await writeFile(join(mount.path, "dir/deep/file"), randomBytes(200_000));
    await link(join(mount.path, "dir/deep/file"), join(mount.path, "hard"));
    await writeFile(join(mount.path, "fine"), randomBytes(100_000));
  }
  const well = await fsck(volume);
  assert.equal(well.code, 0);
  assert.deepEqual([well.found.slices, well.found.bytes], [2, 300_000]);
  const blocks = await objects(volume);
  const victim = blocks.find((name) => name.endsWith("_3_3392")) ?? "";
  await rm(join(chunks(volume), "0", "0", victim));
  const { code, found } = await fsck(volume);
  assert.equal(code, 1);
  assert.deepEqual(found.missing, [`chunks/0/0/${victim}`]);
  assert.equal(found.broken.length, 1);
  assert.deepEqual(found.broken[0]?.paths.toSorted(), ["/dir/deep/file", "/hard"]);
});
