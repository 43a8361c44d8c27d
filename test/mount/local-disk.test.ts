import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { open, readdir, readFile, stat, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { makeDisk } from "../support/disk.ts";
import { startFaultyProxy } from "../support/faulty-proxy.ts";
import { onMinio, startMinio } from "../support/minio.ts";
import {
  askTestMount,
  formatTestVolume,
  juicefs,
  killMount,
  mountOfficial,
  mountVolume,
  officialJuicefs,
  type TestVolumeOnDisk,
} from "../support/mount.ts";
import { until } from "../support/process.ts";
import { startRedis } from "../support/redis.ts";

/** Cache and staging on disks of this machine, as a mount uses them: the objects lie on MinIO, requests are counted before it. */

const server = await startRedis();
const minio = await startMinio();
const proxy = await startFaultyProxy(minio.endpoint);
after(async () => {
  for (const one of [proxy, minio, server]) await one[Symbol.asyncDispose]();
});

const BLOCK = 65_536;
/** Nothing is evicted because the machine's disk is full. */
const ROOM = ["--free-space-ratio", "0.01"];
let volumes = 0;

interface Place {
  readonly volume: TestVolumeOnDisk;
  /** What mounts of it are told so that their requests are seen. */
  readonly seen: readonly string[];
}

async function makeVolume(): Promise<Place & AsyncDisposable> {
  const name = `disk-${++volumes}`;
  const format = [...onMinio(minio, name), "--block-size", "64K", "--trash-days", "0"];
  const volume = await formatTestVolume({ server, database: volumes, format });
  proxy.seen.length = 0;
  proxy.plan = () => undefined;
  return {
    ...{ volume, seen: ["--bucket", `${proxy.endpoint}/${name}`] },
    [Symbol.asyncDispose]: () => volume[Symbol.asyncDispose](),
  };
}

/** Requests for blocks of one kind so far. */
function requests(method: string): string[] {
  return proxy.seen.filter((one) => one.startsWith(`${method} `) && one.includes("/chunks/"));
}

async function blocksIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile() && /^\d+_\d+_\d+$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

async function stored(path: string, data: Buffer): Promise<void> {
  await using file = await open(path, "w");
  await file.write(data);
  await file.sync();
}

const staged = async (mount: { path: string }, { folder }: TestVolumeOnDisk): Promise<number> =>
  (await askTestMount({ path: mount.path, folder })).staged?.blocks ?? 0;

/** After everything was unmounted: nothing is missing, nothing is left over. */
async function judge({ metaUrl }: TestVolumeOnDisk): Promise<void> {
  await juicefs("fsck", metaUrl);
  const fsck = await officialJuicefs("fsck", metaUrl);
  assert.doesNotMatch(fsck.stderr, /<(ERROR|FATAL)>/);
  const gc = await officialJuicefs("gc", metaUrl);
  assert.match(gc.stdout + gc.stderr, / 0 leaked \(0 bytes\)/);
}

test("a cache stays within its size; what is in it needs no request, the rest is asked for again", async () => {
  await using place = await makeVolume();
  const { volume, seen } = place;
  const cache = join(volume.folder, "cache");
  const data = randomBytes(40 * BLOCK);
  const options = [...seen, "--cache-dir", cache, ...ROOM];
  {
    await using mount = await mountVolume(volume, options);
    await stored(join(mount.path, "file"), data);
  }
  assert.equal((await blocksIn(cache)).length, 0);
  {
    await using mount = await mountVolume(volume, [...options, "--cache-size", "1"]);
    assert.ok(data.equals(await readFile(join(mount.path, "file"))));
  }
  const kept = await blocksIn(cache);
  assert.ok(kept.length > 5 && kept.length <= 15, `${kept.length} blocks in 1 MiB`);
  proxy.seen.length = 0;
  {
    await using mount = await mountVolume(volume, options);
    assert.ok(data.equals(await readFile(join(mount.path, "file"))));
  }
  const asked = new Set(requests("GET").map((one) => one.split("/").at(-1)));
  for (const path of kept) assert.ok(!asked.has(path.split("/").at(-1) ?? ""), path);
  assert.equal((await blocksIn(cache)).length, 40);

  // A block that is damaged is not handed out, and replaced.
  const [damaged = ""] = await blocksIn(cache);
  const file = await open(damaged, "r+");
  const [byte = 0] = (await file.read(Buffer.alloc(1), 0, 1, 1000)).buffer;
  await file.write(Buffer.from([byte ^ 1]), 0, 1, 1000);
  await file.close();
  proxy.seen.length = 0;
  {
    await using mount = await mountVolume(volume, options);
    assert.ok(data.equals(await readFile(join(mount.path, "file"))));
  }
  const again = requests("GET").map((one) => one.split(/[/?]/).at(-1));
  assert.deepEqual(new Set(again), new Set([damaged.split("/").at(-1)]));
});

test("full blocks are not cached where only short ones are wanted; written ones are where that is wanted", async () => {
  await using place = await makeVolume();
  const { volume, seen } = place;
  const data = randomBytes(3 * BLOCK + 5);
  const cache = (name: string): string => join(volume.folder, name);
  const options = (name: string, ...more: string[]): string[] => [
    ...[...seen, "--cache-dir", cache(name), ...ROOM, ...more],
  ];
  {
    await using mount = await mountVolume(volume, options("written", "--cache-large-write"));
    await stored(join(mount.path, "file"), data);
  }
  assert.equal((await blocksIn(cache("written"))).length, 4);
  for (const [name, expected, ...more] of [
    ["partial", 1, "--cache-partial-only"],
    ["all", 4],
    ["nothing", 0, "--cache-size", "0"],
    ["few", 2, "--cache-items", "2", "--cache-eviction", "none"],
  ] as const) {
    await using mount = await mountVolume(volume, options(name, ...more));
    assert.ok(data.equals(await readFile(join(mount.path, "file"))));
    await mount.unmount();
    assert.equal((await blocksIn(cache(name))).length, expected, name);
  }
});

test("a part of the disk stays free, whatever the cache may take", async () => {
  await using place = await makeVolume();
  const { volume, seen } = place;
  await using disk = await makeDisk(4 << 20);
  const data = randomBytes(60 * BLOCK);
  const options = ["--cache-dir", join(disk.path, "cache"), "--free-space-ratio", "0.5"];
  await using mount = await mountVolume(volume, [...seen, ...options]);
  await stored(join(mount.path, "file"), data);
  await mount.unmount();
  await using again = await mountVolume(volume, [...seen, ...options]);
  assert.ok(data.equals(await readFile(join(again.path, "file"))));
  await until("half of the disk is free", async () => {
    const { bfree, blocks } = await statfs(disk.path);
    return bfree / blocks >= 0.5;
  });
  assert.ok((await blocksIn(disk.path)).length > 5);
});

test("a disk that is full, read-only or gone costs speed, not data", async () => {
  await using place = await makeVolume();
  const { volume, seen } = place;
  await using disk = await makeDisk(2 << 20);
  const cache = join(disk.path, "cache");
  const options = ["--cache-dir", cache, "--writeback", ...ROOM];
  await using mount = await mountVolume(volume, [...seen, ...options]);
  const path = (name: string): string => join(mount.path, name);
  const data = randomBytes(50 * BLOCK);
  // More than there is room for while nothing can be uploaded: what is not staged waits for the store.
  proxy.plan = (method) => (method === "PUT" ? { kind: "slow", ms: 300 } : undefined);
  await stored(path("full"), data);
  proxy.plan = () => undefined;
  // What a mount tells of itself may be of a moment before; the disk tells the truth.
  await until("uploaded", async () => {
    const left = await blocksIn(disk.path);
    return (await staged(mount, volume)) === 0 && !left.some((path) => path.includes("rawstaging"));
  });

  await disk.remount("ro");
  await stored(path("read-only"), data);
  assert.ok(data.equals(await readFile(path("full"))));
  assert.equal(await staged(mount, volume), 0);
  await disk.remount("rw");

  await disk.unmount();
  await stored(path("gone"), data);
  assert.ok(data.equals(await readFile(path("full"))));
  // Nothing lands on the disk below.
  assert.deepEqual(await blocksIn(disk.path), []);
  await disk.mountAgain();
  await mount.unmount();

  await using other = await mountVolume(volume, ["--cache-size", "0"]);
  for (const name of ["full", "read-only", "gone"]) {
    assert.ok(data.equals(await readFile(join(other.path, name))), name);
  }
  await other.unmount();
  await judge(volume);
});

test("what is staged outlives both processes of its mount, and is uploaded once", async () => {
  await using place = await makeVolume();
  const { volume, seen } = place;
  const options = [...seen, "--cache-dir", join(volume.folder, "cache"), "--writeback"];
  const data = randomBytes(20 * BLOCK + 17);
  {
    await using mount = await mountVolume(volume, [...options, "--upload-delay", "1h"]);
    await stored(join(mount.path, "file"), data);
    assert.equal(requests("PUT").length, 0);
    await killMount(mount, volume);
  }
  await using mount = await mountVolume(volume, options);
  assert.ok(data.equals(await readFile(join(mount.path, "file"))));
  assert.equal(requests("GET").length, 0);
  await until("all is uploaded", async () => requests("PUT").length >= 21);
  await until("nothing is staged", async () => (await staged(mount, volume)) === 0);
  await mount.unmount();
  const put = requests("PUT").map((one) => one.split(/[/?]/).at(-1));
  assert.deepEqual([put.length, new Set(put).size], [21, 21]);
  await using other = await mountOfficial(volume);
  assert.ok(data.equals(await readFile(join(other.path, "file"))));
  await other.unmount();
  await judge(volume);
});

test("the official client has the same folder at the same time: staged and cached blocks are read by both", async () => {
  await using place = await makeVolume();
  const { volume, seen } = place;
  const cache = join(volume.folder, "shared");
  const later = ["--cache-dir", cache, "--writeback", "--upload-delay", "1h", ...ROOM];
  const [first, second] = [randomBytes(5 * BLOCK + 3), randomBytes(4 * BLOCK + 9)];
  {
    await using ours = await mountVolume(volume, [...seen, ...later]);
    await stored(join(ours.path, "ours"), first);
    // Nothing of it is an object yet: what the official client reads lies in the folder. It looks there before its first walk ends.
    await using official = await mountOfficial(volume, later);
    assert.ok(first.equals(await readFile(join(official.path, "ours"))));
    await writeFile(join(official.path, "official"), second);
    await official.unmount();
    await killMount(ours, volume);
  }
  assert.equal(requests("PUT").length, 0);
  const raw = await blocksIn(join(cache));
  assert.ok(raw.some((path) => path.includes("/rawstaging/")));
  {
    await using ours = await mountVolume(volume, [...seen, "--cache-dir", cache, "--writeback"]);
    assert.ok(second.equals(await readFile(join(ours.path, "official"))));
    await until("all is uploaded", async () =>
      (await blocksIn(cache)).every((path) => !path.includes("/rawstaging/")),
    );
  }
  await using other = await mountOfficial(volume);
  assert.ok(first.equals(await readFile(join(other.path, "ours"))));
  assert.ok(second.equals(await readFile(join(other.path, "official"))));
  await other.unmount();
  await judge(volume);
});

test("the kernel may write back: sizes and times are those of the writes, here and elsewhere", async () => {
  await using place = await makeVolume();
  const { volume } = place;
  await using mount = await mountVolume(volume, ["-o", "writeback_cache"]);
  await using other = await mountVolume(volume);
  const expected = Buffer.alloc(300_000);
  const begun = Date.now();
  {
    await using file = await open(join(mount.path, "file"), "w+");
    for (let at = 0; at < expected.length; at += 1000) {
      const piece = randomBytes(700);
      piece.copy(expected, at);
      await file.write(piece, 0, piece.length, at);
    }
    const { size } = await file.stat();
    assert.equal(size, 299_700);
    assert.ok(expected.subarray(0, size).equals(await readFile(join(mount.path, "file"))));
    await file.truncate(expected.length);
    await file.sync();
    const inside = await stat(join(mount.path, "file"));
    await until("the other mount sees it", async () => {
      const { size: there, mtimeMs } = await stat(join(other.path, "file"));
      return there === expected.length && mtimeMs === inside.mtimeMs;
    });
    assert.ok(inside.mtimeMs >= begun - 1000 && inside.mtimeMs <= Date.now() + 1000);
    assert.ok(expected.equals(await readFile(join(other.path, "file"))));
  }
  {
    await using file = await open(join(mount.path, "file"), "a");
    await file.write("appended");
  }
  const whole = Buffer.concat([expected, Buffer.from("appended")]);
  await until("the end is there", async () =>
    whole.equals(await readFile(join(other.path, "file"))),
  );
  // A time that was set stays, although the kernel writes back after it.
  const then = new Date("2001-02-03T04:05:06Z");
  {
    await using file = await open(join(mount.path, "timed"), "w");
    await file.write("late");
    await file.utimes(then, then);
  }
  for (const one of [mount, other]) {
    const { mtimeMs, size } = await stat(join(one.path, "timed"));
    assert.deepEqual([mtimeMs, size], [then.getTime(), 4]);
  }
  await mount.unmount();
  await other.unmount();
  await judge(volume);
});
