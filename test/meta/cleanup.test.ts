import assert from "node:assert/strict";
import { test } from "node:test";
import { CHUNK_SIZE, ROOT_INO, TYPE_DIRECTORY, TYPE_FILE } from "../../src/meta/limits.ts";
import type { Meta } from "../../src/meta/meta.ts";
import type { Ino, SliceCommit } from "../../src/meta/types.ts";
import { makeVolume, ROOT_CALLER, type TestVolume } from "../support/meta.ts";
import { until } from "../support/process.ts";

const HOUR = 3600;
const FILE = { type: TYPE_FILE, mode: 0o644, umask: 0 };
const FOLDER = { type: TYPE_DIRECTORY, mode: 0o755, umask: 0 };

async function make(meta: Meta, parent: Ino, name: string, node = FILE): Promise<Ino> {
  return (await meta.create(ROOT_CALLER, parent, Buffer.from(name), node)).ino;
}

function write(ino: Ino, chunkIndex: number, id: bigint, size = 100): SliceCommit {
  return {
    ...{ ino, chunkIndex, mtime: { sec: 1, nsec: 0 } },
    slice: { pos: 0, id, size, off: 0, len: size },
  };
}

/** Whatever is left besides the records of a volume without files. */
async function leftovers(volume: TestVolume): Promise<string[]> {
  const keys = await volume.redis.keys("*");
  return keys
    .filter((key) =>
      /^(c|d|x|p|s)\d|^i(?!1$|9223372032828243968$)\d|^(sliceRef|delfiles|delSlices|session\d+|detachedNodes)$/.test(
        key,
      ),
    )
    .toSorted();
}

/** Usage as the counters have it: bytes, inodes. */
async function usage(volume: TestVolume): Promise<(string | null)[]> {
  return volume.redis.mget("usedSpace", "totalInodes");
}

test("a removed file's data goes, chunk by chunk, also behind its last length", async () => {
  await using volume = await makeVolume({ trashDays: 0 });
  const { meta, deleted } = await volume.open();
  const ino = await make(meta, ROOT_INO, "f");
  await meta.commitSlices([write(ino, 0, 1n), write(ino, 3, 2n), write(ino, 4, 3n)]);
  await meta.truncate(ROOT_CALLER, ino, CHUNK_SIZE);
  await meta.unlink(ROOT_CALLER, ROOT_INO, Buffer.from("f"));
  await until("data gone", async () => (await leftovers(volume)).length === 0);
  assert.deepEqual(
    deleted.map(({ id }) => id).toSorted((a, b) => Number(a - b)),
    [1n, 2n, 3n],
  );
  assert.deepEqual(await usage(volume), ["0", "0"]);
});

test("a slice that several files share goes with the last of them", async () => {
  await using volume = await makeVolume({ trashDays: 0 });
  const { meta, deleted } = await volume.open();
  const [a, b] = [await make(meta, ROOT_INO, "a"), await make(meta, ROOT_INO, "b")];
  await meta.commitSlices([write(a, 0, 1n), write(b, 0, 1n)]);
  await meta.unlink(ROOT_CALLER, ROOT_INO, Buffer.from("a"));
  await until("a is gone", async () => (await volume.redis.exists(`c${a}_0`)) === 0);
  assert.deepEqual(await volume.redis.hgetall("sliceRef"), { k1_100: "0" });
  assert.deepEqual(deleted, []);
  await meta.unlink(ROOT_CALLER, ROOT_INO, Buffer.from("b"));
  await until("b is gone", async () => (await leftovers(volume)).length === 0);
  assert.deepEqual(deleted, [{ id: 1n, size: 100 }]);
});

test("a file open here outlives its name until its last close", async () => {
  await using volume = await makeVolume({ trashDays: 0 });
  const { meta } = await volume.open();
  const ino = await make(meta, ROOT_INO, "f");
  await meta.commitSlices([write(ino, 0, 1n)]);
  meta.openFiles.opened(ino);
  await meta.unlink(ROOT_CALLER, ROOT_INO, Buffer.from("f"));
  assert.equal((await meta.getattr(ino)).nlink, 0);
  assert.deepEqual(await volume.redis.smembers(`session${meta.sid}`), [ino.toString()]);
  assert.equal((await meta.readChunk(ino, 0)).length, 1);
  meta.openFiles.closed(ino);
  await meta.forgetOpen(ino);
  await until("gone", async () => (await leftovers(volume)).length === 0);
  assert.deepEqual(await usage(volume), ["0", "0"]);
});

test("the hourly jobs finish what others left, empty the old trash, and are done by one client", async () => {
  await using volume = await makeVolume({ trashDays: 1 });
  const { meta, deleted } = await volume.open();
  const folder = await make(meta, ROOT_INO, "d", FOLDER);
  const ino = await make(meta, folder, "f");
  const kept = await make(meta, ROOT_INO, "kept");
  await meta.commitSlices([write(ino, 0, 1n), write(kept, 0, 2n)]);
  await meta.unlink(ROOT_CALLER, folder, Buffer.from("f"));
  await meta.rmdir(ROOT_CALLER, ROOT_INO, Buffer.from("d"));
  const now = Math.floor(Date.now() / 1000);
  // The hour's folder is made an old one; beside it lies what an interrupted client leaves.
  const [hour = ""] = await volume.redis.hkeys("d9223372032828243968");
  const record = await volume.redis.hgetBuffer("d9223372032828243968", hour);
  await volume.redis
    .multi()
    .hset("d9223372032828243968", "2020-01-01-00", record ?? "")
    .hdel("d9223372032828243968", hour)
    .zadd("delfiles", now - 2 * HOUR, "500:100")
    .rpush(
      "c500_0",
      Buffer.from("0000000000000000000000090000006400000000000000640000".slice(0, 48), "hex"),
    )
    .hset("sliceRef", "k7_100", "-1", "k8_100", "0", "k2_100", "1")
    .hset("delSlices", `20_${now - 30 * HOUR}`, Buffer.from("000000000000000200000064", "hex"))
    .hset("delSlices", `21_${now}`, Buffer.from("000000000000000200000064", "hex"))
    .exec();
  await meta.close();
  const worker = await volume.open({ noBgjob: false, jobsAfterMs: 1 });
  await until("jobs done", async () => (await volume.redis.hlen("delSlices")) === 1);
  await until("data gone", async () => (await volume.redis.exists("delfiles")) === 0);
  assert.deepEqual(await volume.redis.hkeys("delSlices"), [`21_${now}`]);
  assert.deepEqual(
    [...deleted, ...worker.deleted].map(({ id }) => id).toSorted((a, b) => Number(a - b)),
    [1n, 7n, 9n],
  );
  assert.deepEqual(await volume.redis.hgetall("sliceRef"), { k2_100: "0" });
  assert.equal(await volume.redis.exists("d9223372032828243968", `i${ino}`, `i${folder}`), 0);
  assert.deepEqual(await usage(volume), ["4096", "1"]);
  assert.deepEqual(await volume.redis.hkeys("dirUsedInodes"), ["1"]);
  for (const key of ["lastCleanupFiles", "nextCleanupSlices", "lastCleanupTrash"]) {
    assert.ok(Number(await volume.redis.get(key)) >= now, key);
  }
});

test("the hourly jobs empty the trash of what its flags protect, also after a client whose clock was ahead", async () => {
  await using volume = await makeVolume({ trashDays: 1 });
  const { meta } = await volume.open();
  const [file, folder] = [await make(meta, ROOT_INO, "f"), await make(meta, ROOT_INO, "d", FOLDER)];
  await meta.unlink(ROOT_CALLER, ROOT_INO, Buffer.from("f"));
  await meta.rmdir(ROOT_CALLER, ROOT_INO, Buffer.from("d"));
  // A file can be locked by a descriptor after its removal; the official client removes a locked directory.
  for (const ino of [file, folder]) await volume.redis.setrange(`i${ino}`, 0, "\x01");
  const [hour = ""] = await volume.redis.hkeys("d9223372032828243968");
  const record = await volume.redis.hgetBuffer("d9223372032828243968", hour);
  await volume.redis.hdel("d9223372032828243968", hour);
  await volume.redis.hset("d9223372032828243968", "2020-01-01-00", record ?? "");
  await volume.redis.set("lastCleanupTrash", Math.floor(Date.now() / 1000) + 1000 * HOUR);
  await meta.close();
  await volume.open({ noBgjob: false, jobsAfterMs: 1 });
  await until("an empty trash", async () => (await usage(volume))[1] === "0");
  assert.deepEqual(await leftovers(volume), []);
});

test("a tree that was cut off a day ago is deleted, a younger one is not", async () => {
  await using volume = await makeVolume({ trashDays: 1 });
  const { meta } = await volume.open();
  const now = Math.floor(Date.now() / 1000);
  const trees: Ino[] = [];
  for (const name of ["old", "young"]) {
    const tree = await make(meta, ROOT_INO, name, FOLDER);
    await make(meta, await make(meta, tree, "sub", FOLDER), "f");
    await volume.redis.hdel("d1", name);
    trees.push(tree);
  }
  await volume.redis.zadd(
    "detachedNodes",
    now - 25 * HOUR,
    String(trees[0]),
    now,
    String(trees[1]),
  );
  await meta.close();
  await volume.open({ noBgjob: false, jobsAfterMs: 1 });
  await until("old tree gone", async () => (await volume.redis.zcard("detachedNodes")) === 1);
  assert.equal(await volume.redis.exists(`i${trees[0]}`, `d${trees[0]}`), 0);
  assert.equal(await volume.redis.exists(`i${trees[1]}`, `d${trees[1]}`), 2);
  assert.deepEqual(await usage(volume), [String(3 * 4096), "3"]);
});

test("a file open on another mount outlives its name there, until its last close", async () => {
  await using volume = await makeVolume({ trashDays: 0 });
  const [one, two, three] = [await volume.open(), await volume.open(), await volume.open()];
  for (const { meta } of [one, two, three]) await until("trust", () => meta.trust === "long");
  const [ino, other] = [await make(one.meta, ROOT_INO, "f"), await make(one.meta, ROOT_INO, "g")];
  await one.meta.commitSlices([write(ino, 0, 1n), write(other, 0, 2n)]);
  for (const { meta } of [two, three]) meta.openFiles.opened(ino);
  await one.meta.unlink(ROOT_CALLER, ROOT_INO, Buffer.from("f"));
  await one.meta.rename(ROOT_CALLER, {
    fromParent: ROOT_INO,
    fromName: Buffer.from("g"),
    toParent: ROOT_INO,
    toName: Buffer.from("h"),
    flags: 0,
  });
  const keeps = async ({ meta }: typeof one): Promise<boolean> =>
    (await volume.redis.sismember(`session${meta.sid}`, ino.toString())) === 1;
  await until("kept by those who have it open", async () => (await keeps(two)) && keeps(three));
  await one.meta.close();
  assert.equal((await two.meta.getattr(ino)).nlink, 0);
  two.meta.openFiles.closed(ino);
  await two.meta.forgetOpen(ino);
  assert.equal((await three.meta.readChunk(ino, 0)).length, 1);
  three.meta.openFiles.closed(ino);
  await three.meta.forgetOpen(ino);
  await until(
    "gone",
    async () => (await volume.redis.exists(`i${ino}`, `c${ino}_0`, "delfiles")) === 0,
  );
  assert.deepEqual(three.deleted, [{ id: 1n, size: 100 }]);
  assert.deepEqual(await usage(volume), ["4096", "1"]);
});

test("a file nobody has open goes after the grace, or at once when its room is needed", async () => {
  await using volume = await makeVolume({ trashDays: 0, capacityBytes: 8192 });
  const [one, two] = [await volume.open(), await volume.open()];
  for (const { meta } of [one, two]) await until("trust", () => meta.trust === "long");
  const remove = async (name: string): Promise<void> => {
    await make(one.meta, ROOT_INO, name);
    await one.meta.unlink(ROOT_CALLER, ROOT_INO, Buffer.from(name));
  };
  await remove("a");
  await remove("b");
  assert.deepEqual(await usage(volume), ["8192", "2"]);
  const ino = await make(one.meta, ROOT_INO, "c");
  assert.deepEqual(await usage(volume), ["4096", "1"]);
  await remove("d");
  const [outcome] = await one.meta.commitSlices([write(ino, 0, 1n, 8192)]);
  assert.ok(outcome !== undefined && "attr" in outcome);
  await one.meta.truncate(ROOT_CALLER, ino, 0);
  await remove("e");
  await until("grace over", async () => (await volume.redis.get("totalInodes")) === "1");
});
