import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { DiskCache } from "../../src/chunk/disk-cache.ts";
import { Staging } from "../../src/chunk/staging.ts";
import { createStorage } from "../../src/object/create.ts";
import {
  formatTestVolume,
  juicefs,
  mountOfficial,
  type TestVolumeOnDisk,
} from "../support/mount.ts";
import { until } from "../support/process.ts";

/** Cache folders that one client filled are used by the other. */

const BLOCKS = ["--block-size", "64K"];

async function uuidOf({ metaUrl }: TestVolumeOnDisk): Promise<string> {
  const { stdout } = await juicefs("config", metaUrl);
  return (JSON.parse(stdout) as { UUID: string }).UUID;
}

async function openCache(folders: readonly string[]): Promise<DiskCache & AsyncDisposable> {
  const cache = await DiskCache.open({
    ...{ folders, mode: 0o600, verify: "extend", eviction: "2-random", capacityBytes: 1 << 30 },
    ...{ items: 0, freeRatio: 0.01, expireMs: 0, scanIntervalMs: 0, queueBytes: 1 << 25 },
  });
  await cache.scanned();
  return Object.assign(cache, { [Symbol.asyncDispose]: () => cache.close() });
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

test("what the official client cached in four folders is read here, each block from where it belongs", async () => {
  await using volume = await formatTestVolume({ format: BLOCKS });
  const dirs = ["c1", "c2", "c3", "c4"].map((name) => join(volume.folder, name));
  const data = randomBytes(60 * 65_536 + 1);
  {
    await using mount = await mountOfficial(volume, ["--cache-dir", dirs.join(":")]);
    await writeFile(join(mount.path, "file"), data);
    await readFile(join(mount.path, "file"));
  }
  {
    // Cold: what was written may be read from memory. Nothing may be evicted, however full the disk is.
    const kept = ["--cache-dir", dirs.join(":"), "--free-space-ratio", "0.01"];
    await using mount = await mountOfficial(volume, kept);
    assert.ok(data.equals(await readFile(join(mount.path, "file"))));
    await until("cached", async () => {
      const cached = await Promise.all(dirs.map(filesIn));
      return cached.flat().filter((name) => /^\d+_\d+_\d+$/.test(name)).length === 61;
    });
  }
  const uuid = await uuidOf(volume);
  await using cache = await openCache(dirs.map((dir) => join(dir, uuid)));
  assert.equal(cache.counts().blocks, 61);
  const storage = await createStorage({
    ...{ Name: "test-volume", Storage: "file", Bucket: join(volume.folder, "objects") },
    ...{ AccessKey: "", SecretKey: "", SessionToken: "" },
  });
  for await (const { key, size } of storage.list("chunks/")) {
    const [ours, theirs] = [Buffer.alloc(size), Buffer.alloc(size)];
    await storage.get(key, theirs);
    assert.ok(existsSync(join(cache.folderOf(key)?.place.raw ?? "", key)), key);
    assert.equal(await cache.get(key, size, ours), true, key);
    assert.ok(ours.equals(theirs));
  }
});

test("what is cached here the official client reads, when there is nothing else to read", async () => {
  await using volume = await formatTestVolume({ format: BLOCKS });
  const dirs = ["c1", "c2", "c3"].map((name) => join(volume.folder, name));
  const data = randomBytes(500_000);
  {
    await using mount = await mountOfficial(volume, ["--cache-size", "0"]);
    await writeFile(join(mount.path, "file"), data);
  }
  const uuid = await uuidOf(volume);
  const bucket = join(volume.folder, "objects");
  {
    await using cache = await openCache(dirs.map((dir) => join(dir, uuid)));
    const storage = await createStorage({
      ...{ Name: "test-volume", Storage: "file", Bucket: bucket },
      ...{ AccessKey: "", SecretKey: "", SessionToken: "" },
    });
    for await (const { key, size } of storage.list("chunks/")) {
      const block = Buffer.alloc(size);
      await storage.get(key, block);
      assert.equal(await cache.put(key, [block]), true);
    }
  }
  await rm(join(bucket, "test-volume/chunks"), { recursive: true });
  // Nothing may be evicted, however full the disk is.
  const shared = ["--cache-dir", dirs.join(":"), "--free-space-ratio", "0.01"];
  await using mount = await mountOfficial(volume, shared);
  assert.ok(data.equals(await readFile(join(mount.path, "file"))));
});

test("blocks that the official client staged and did not upload are uploaded here, and the reverse", async () => {
  await using volume = await formatTestVolume({ format: BLOCKS });
  const dir = join(volume.folder, "cache");
  const data = randomBytes(200_000);
  const writeback = ["--cache-dir", dir, "--writeback", "--upload-delay", "1h"];
  {
    await using mount = await mountOfficial(volume, writeback);
    await writeFile(join(mount.path, "file"), data);
  }
  const uuid = await uuidOf(volume);
  const own = join(dir, uuid);
  const staged = await filesIn(join(own, "rawstaging"));
  assert.equal(staged.length, 4);
  const storage = await createStorage({
    ...{ Name: "test-volume", Storage: "file", Bucket: join(volume.folder, "objects") },
    ...{ AccessKey: "", SecretKey: "", SessionToken: "" },
  });
  const target = {
    upload: ({ key }: { key: string }, block: Uint8Array) => storage.put(key, [block]),
    fetch: async ({ key }: { key: string }, into: Uint8Array) => {
      await storage.get(key, into);
    },
    remove: (key: string) => storage.delete(key),
  };
  const options = { writeback: true, thresholdBytes: 0, delayMs: 3_600_000, maxWrites: 10 };
  {
    await using cache = await openCache([own]);
    const staging = Staging.open(cache, target, { ...options, maxUploads: 4, noSync: false });
    assert.equal((await staging.drain()).blocks, 0);
    await staging.close();
  }
  assert.deepEqual(await filesIn(join(own, "rawstaging")), []);
  await using reader = await mountOfficial(volume);
  assert.ok(data.equals(await readFile(join(reader.path, "file"))));

  const objects = join(volume.folder, "objects/test-volume/chunks");
  const kept = join(volume.folder, "kept");
  await mkdir(kept);
  {
    await using cache = await openCache([own]);
    const staging = Staging.open(cache, target, { ...options, maxUploads: 4, noSync: false });
    for await (const { key, size } of storage.list("chunks/")) {
      const block = Buffer.alloc(size);
      await storage.get(key, block);
      assert.equal(await staging.stage(key, [block]), true);
    }
    assert.equal((await staging.close()).blocks, 4);
  }
  await rm(objects, { recursive: true });
  await using uploader = await mountOfficial(volume, ["--cache-dir", dir, "--writeback"]);
  await until("uploaded by the official client", async () => (await filesIn(objects)).length === 4);
  assert.ok(data.equals(await readFile(join(uploader.path, "file"))));
});
