import assert from "node:assert/strict";
import { randomBytes, randomInt } from "node:crypto";
import { open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Redis } from "ioredis";
import {
  formatTestVolume,
  mountVolume,
  officialJuicefs,
  type TestVolumeOnDisk,
} from "../support/mount.ts";
import { until } from "../support/process.ts";

const MIB = 1 << 20;

/** Looks at the keys of a volume, past the code under test. */
function keysOf({ metaUrl }: TestVolumeOnDisk): Redis & AsyncDisposable {
  const redis = new Redis(metaUrl, { protocol: 2 });
  return Object.assign(redis, {
    [Symbol.asyncDispose]: async () => {
      redis.disconnect();
      await Promise.resolve();
    },
  });
}

async function longestChunk(redis: Redis): Promise<number> {
  const lengths = (await redis.keys("c*")).map((key) => redis.llen(key));
  return Math.max(...(await Promise.all(lengths)));
}

/** What the official client finds wrong with the objects: nothing. */
async function judge({ metaUrl }: TestVolumeOnDisk): Promise<void> {
  const fsck = await officialJuicefs("fsck", metaUrl);
  assert.doesNotMatch(fsck.stderr, /<(ERROR|FATAL)>/);
  const gc = await officialJuicefs("gc", metaUrl);
  assert.match(gc.stdout + gc.stderr, /, 0 pending delete .* 0 compacted .* 0 leaked \(0 bytes\)/);
}

/** Overwrites random pages of a file with its mirror in step; every so often they reach the store. */
async function scribble(path: string, mirror: Buffer, count: number): Promise<void> {
  await using file = await open(path, "r+");
  for (let done = 0; done < count; done++) {
    const page = randomBytes(4096);
    const at = randomInt(mirror.length - page.length);
    page.copy(mirror, at);
    await file.write(page, 0, page.length, at);
    if (done % 10 === 9) await file.sync();
  }
}

for (const [name, format] of [
  ["plain", []],
  ["compressed", ["--compress", "zstd"]],
] as const) {
  test(`${name}: random overwrites end in few slices, the bytes are right, nothing is leaked`, async () => {
    await using volume = await formatTestVolume({ format: ["--trash-days", "0", ...format] });
    await using redis = keysOf(volume);
    await using mount = await mountVolume(volume);
    await using other = await mountVolume(volume);
    const path = join(mount.path, "file");
    const mirror = randomBytes(12 * MIB);
    await writeFile(path, mirror);
    await scribble(path, mirror, 1000);
    await until("not very many records", async () => (await longestChunk(redis)) < 350);
    assert.ok(mirror.equals(await readFile(path)));
    // Whoever reads a chunk of many records has it compacted.
    assert.ok(mirror.equals(await readFile(join(other.path, "file"))));
    await until("few records", async () => (await longestChunk(redis)) < 5);
    assert.ok(mirror.equals(await readFile(path)));
    await until("nothing to delete", async () => (await redis.hlen("sliceRef")) === 0);
    await judge(volume);
  });
}

test("what a compaction replaced stays as long as the trash keeps files", async () => {
  await using volume = await formatTestVolume();
  await using redis = keysOf(volume);
  await using mount = await mountVolume(volume);
  const path = join(mount.path, "file");
  const mirror = Buffer.alloc(MIB, 1);
  await writeFile(path, mirror);
  await scribble(path, mirror, 100);
  assert.ok(mirror.equals(await readFile(path)));
  await using other = await mountVolume(volume);
  assert.ok(mirror.equals(await readFile(join(other.path, "file"))));
  await until("few records", async () => (await longestChunk(redis)) < 5);
  assert.ok((await redis.hlen("delSlices")) > 0);
  assert.ok(mirror.equals(await readFile(path)));
  const gc = await officialJuicefs("gc", volume.metaUrl);
  assert.match(gc.stdout + gc.stderr, / 0 pending delete .* [1-9]\d* compacted .* 0 leaked/);
});

test("what lies in the store stays there when it is compacted by a mount with write-back", async () => {
  await using volume = await formatTestVolume({ format: ["--trash-days", "0"] });
  await using redis = keysOf(volume);
  await using mount = await mountVolume(volume);
  const mirror = Buffer.alloc(MIB, 1);
  await writeFile(join(mount.path, "file"), mirror);
  await scribble(join(mount.path, "file"), mirror, 80);
  const cache = ["--cache-dir", join(volume.folder, "staged")];
  await using other = await mountVolume(volume, [...cache, "--writeback", "--upload-delay", "1h"]);
  assert.ok(mirror.equals(await readFile(join(other.path, "file"))));
  await until("few records", async () => (await longestChunk(redis)) < 5);
  const fsck = await officialJuicefs("fsck", volume.metaUrl);
  assert.doesNotMatch(fsck.stderr, /<(ERROR|FATAL)>/);
});

test("a file is read without an error while it is written and compacted, here and elsewhere", async () => {
  await using volume = await formatTestVolume({ format: ["--trash-days", "0"] });
  await using mount = await mountVolume(volume);
  await using other = await mountVolume(volume, ["--buffer-size", "32"]);
  const path = join(mount.path, "file");
  const mirror = randomBytes(4 * MIB);
  await writeFile(path, mirror);
  const writing = new AbortController();
  const reading = (async () => {
    let reads = 0;
    for (; !writing.signal.aborted; reads++) {
      assert.equal((await readFile(join(other.path, "file"))).length, mirror.length);
      await using here = await open(path);
      await here.read(Buffer.alloc(MIB), 0, MIB, randomInt(3 * MIB));
    }
    return reads;
  })();
  try {
    for (let round = 0; round < 8; round++) await scribble(path, mirror, 60);
  } finally {
    writing.abort();
  }
  assert.ok((await reading) > 0);
  assert.ok(mirror.equals(await readFile(join(other.path, "file"))));
});
