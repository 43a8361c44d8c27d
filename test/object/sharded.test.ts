import assert from "node:assert/strict";
import { test } from "node:test";
import { createStorage } from "../../src/object/create.ts";
import { shardBuckets, shardOf } from "../../src/object/sharded.ts";
import { FileStorage } from "../../src/object/file.ts";
import { makeFolder } from "../support/folder.ts";

test("the shard of an object is the format's", () => {
  assert.equal(shardOf("myjfs/chunks/0/0/1_0_4194304", 4), 0);
  assert.equal(shardOf("myjfs/chunks/0/0/1_0_4194304", 2 ** 31), 0x964a9aa8 % 2 ** 31);
  // Seen with the official client on a volume of this name.
  const seen: Record<string, number> = {
    juicefs_uuid: 0,
    "chunks/0/0/1_0_30": 0,
    "chunks/0/0/3_0_4194304": 0,
    "chunks/0/0/3_1_805696": 0,
    "chunks/0/0/2_0_5": 3,
    "chunks/0/0/4_0_100000": 3,
  };
  for (const [key, shard] of Object.entries(seen))
    assert.equal(shardOf(`volshard/${key}`, 4), shard);
});

test("a sharded bucket has one place for the shard's number", () => {
  assert.deepEqual(shardBuckets("http://h/jfs-%d", 3), [
    ...["http://h/jfs-0", "http://h/jfs-1", "http://h/jfs-2"],
  ]);
  assert.deepEqual(shardBuckets("/b/%02d/", 2), ["/b/00/", "/b/01/"]);
  for (const bucket of ["http://h/jfs", "http://h/%d/%d", "http://h/%s"]) {
    assert.throws(() => shardBuckets(bucket, 3), /it needs one %d/);
  }
});

test("objects are spread over all shards, listed as one in the order of keys, and found again", async () => {
  await using folder = await makeFolder();
  const storage = await createStorage({
    ...{ Name: "vol", Storage: "file", Bucket: `${folder.path}/s%d/`, Shards: 3 },
    ...{ AccessKey: "", SecretKey: "", SessionToken: "", noSync: true },
  });
  await storage.prepare();
  const keys = Array.from({ length: 30 }, (_, index) => `chunks/0/0/${index}_0_1`);
  for (const key of keys) await storage.put(key, [Buffer.from(key)]);
  const listed = await Array.fromAsync(storage.list("chunks/"));
  assert.deepEqual(
    listed.map(({ key }) => key),
    keys.toSorted(),
  );
  for (const shard of [0, 1, 2]) {
    const own = new FileStorage(`${folder.path}/s${shard}`, { sync: false });
    const found = (await Array.fromAsync(own.list(""))).map(({ key }) => key);
    assert.ok(found.length > 0);
    for (const key of found) assert.equal(shardOf(key, 3), shard);
  }
  for (const key of keys) {
    const into = Buffer.alloc(30);
    assert.equal(into.toString("utf8", 0, await storage.get(key, into)), key);
    assert.equal((await storage.head(key)).key, key);
    await storage.delete(key);
  }
  assert.deepEqual(await Array.fromAsync(storage.list("")), []);
});
