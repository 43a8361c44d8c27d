import assert from "node:assert/strict";
import { test } from "node:test";
import { CHUNK_SIZE, ROOT_INO, TYPE_DIRECTORY, TYPE_FILE } from "../../src/meta/limits.ts";
import type { Meta } from "../../src/meta/meta.ts";
import type { Ino, SliceCommit } from "../../src/meta/types.ts";
import { makeVolume, ROOT_CALLER, type TestVolume } from "../support/meta.ts";

const TIME = { sec: 1_700_000_000, nsec: 500_000_000 };

async function makeFile(meta: Meta, name: string): Promise<Ino> {
  const node = { type: TYPE_FILE, mode: 0o644, umask: 0 };
  return (await meta.create(ROOT_CALLER, ROOT_INO, Buffer.from(name), node)).ino;
}

/** A record for `len` bytes at `offset` of a file, as the writer makes it. */
function write(ino: Ino, offset: number, len: number, id: bigint): SliceCommit {
  const chunkIndex = Math.floor(offset / CHUNK_SIZE);
  const slice = { pos: offset - chunkIndex * CHUNK_SIZE, id, size: len, off: 0, len };
  return { ino, chunkIndex, slice, mtime: TIME };
}

async function records(volume: TestVolume, ino: Ino, index: number): Promise<number[][]> {
  const list = await volume.redis.lrangeBuffer(`c${ino}_${index}`, 0, -1);
  return list.map((record) => [
    record.readUInt32BE(0),
    Number(record.readBigUInt64BE(4)),
    ...[12, 16, 20].map((at) => record.readUInt32BE(at)),
  ]);
}

test("writes, truncations and copies leave the records of the worked sequence", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  const ino = await makeFile(meta, "f");
  const length = async (): Promise<number> => (await meta.getattr(ino)).length;

  await meta.commitSlices([write(ino, 0, 100000, 1n)]);
  await meta.commitSlices([write(ino, 50000, 5000, 3n)]);
  assert.equal(await length(), 100000);
  await meta.commitSlices([write(ino, 100000, 1000, 4n)]);
  await meta.commitSlices([
    write(ino, CHUNK_SIZE - 100000, 100000, 6n),
    write(ino, CHUNK_SIZE, 100000, 5n),
  ]);
  assert.equal(await length(), 67208864);
  assert.deepEqual(await records(volume, ino, 0), [
    [0, 1, 100000, 0, 100000],
    [50000, 3, 5000, 0, 5000],
    [100000, 4, 1000, 0, 1000],
    [67008864, 6, 100000, 0, 100000],
  ]);
  assert.deepEqual(await records(volume, ino, 1), [[0, 5, 100000, 0, 100000]]);

  const other = await makeFile(meta, "g");
  const copied = await meta.copyRange({ ino, offset: 45000 }, { ino: other, offset: 5 }, 60000);
  assert.equal(copied.copied, 60000);
  assert.equal(copied.attr.length, 60005);
  assert.deepEqual(await records(volume, other, 0), [
    [5, 1, 100000, 45000, 5000],
    [5005, 3, 5000, 0, 5000],
    [10005, 1, 100000, 55000, 45000],
    [55005, 4, 1000, 0, 1000],
    [56005, 0, 0, 0, 4000],
  ]);
  assert.deepEqual(await volume.redis.hgetall("sliceRef"), {
    k1_100000: "2",
    k3_5000: "1",
    k4_1000: "1",
  });

  await meta.truncate(ROOT_CALLER, ino, 70000);
  assert.deepEqual((await records(volume, ino, 0)).at(-1), [70000, 0, 0, 0, 67038864]);
  assert.deepEqual((await records(volume, ino, 1)).at(-1), [0, 0, 0, 0, 100000]);
  await meta.truncate(ROOT_CALLER, ino, 3 * CHUNK_SIZE + 5);
  assert.deepEqual((await records(volume, ino, 0)).at(-1), [70000, 0, 0, 0, 67038864]);
  assert.deepEqual((await records(volume, ino, 1)).at(-1), [0, 0, 0, 0, CHUNK_SIZE]);
  assert.equal(await volume.redis.exists(`c${ino}_2`), 0);
  assert.deepEqual(await records(volume, ino, 3), [[0, 0, 0, 0, 5]]);
  assert.equal(await length(), 201326597);
});

test("a commit grows the file, its space, its folder's statistics, and advances its times", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  const ino = await makeFile(meta, "f");
  const before = await meta.getattr(ino);
  const [outcome] = await meta.commitSlices([write(ino, 10000, 5000, 1n)]);
  assert.ok(outcome !== undefined && "attr" in outcome);
  assert.deepEqual(outcome.attr, await meta.getattr(ino));
  assert.equal(outcome.attr.length, 15000);
  assert.deepEqual(outcome.attr.mtime, TIME);
  assert.ok(outcome.attr.ctime.sec >= before.ctime.sec);
  assert.equal(outcome.offset, 10000);
  assert.equal(outcome.chunkRecords, 1);
  assert.equal(await volume.redis.get("usedSpace"), "16384");
  assert.equal(await volume.redis.hget("dirUsedSpace", "1"), "16384");
  assert.equal(await volume.redis.hget("dirDataLength", "1"), "15000");
  await meta.truncate(ROOT_CALLER, ino, 1);
  assert.equal(await volume.redis.get("usedSpace"), "4096");
  assert.equal(await volume.redis.hget("dirDataLength", "1"), "1");
});

test("records of many files in one commit each have their own outcome", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  const [a, b] = [await makeFile(meta, "a"), await makeFile(meta, "b")];
  const pack = (ino: Ino, off: number, len: number): SliceCommit => ({
    ...{ ino, chunkIndex: 0, mtime: TIME },
    slice: { pos: 0, id: 9n, size: 300, off, len },
  });
  const outcomes = await meta.commitSlices([
    pack(a, 0, 100),
    pack(999n, 100, 100),
    pack(b, 200, 100),
    pack(ROOT_INO, 0, 100),
  ]);
  assert.deepEqual(
    outcomes.map((one) =>
      "error" in one ? (one.error as Error & { code: string }).code : one.attr.length,
    ),
    [100, "ENOENT", 100, "EPERM"],
  );
  assert.deepEqual(await volume.redis.hgetall("sliceRef"), { k9_300: "1" });
});

test("holes are not counted as references", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  const ino = await makeFile(meta, "a");
  await meta.commitSlices([write(ino, 0, 10, 0n), write(ino, 20, 10, 0n)]);
  assert.equal(await volume.redis.exists("sliceRef"), 0);
});

test("an appended record lands at the length the file has then, across chunks too", async () => {
  await using volume = await makeVolume();
  const { meta: one } = await volume.open();
  const { meta: two } = await volume.open();
  const ino = await makeFile(one, "log");
  await one.truncate(ROOT_CALLER, ino, CHUNK_SIZE - 10);
  const append = (id: bigint): SliceCommit => ({ ...write(ino, 0, 100, id), append: true });
  const outcomes = (
    await Promise.all([one.commitSlices([append(1n), append(2n)]), two.commitSlices([append(3n)])])
  ).flat();
  const offsets = outcomes.map((outcome) => ("error" in outcome ? -1 : outcome.offset));
  assert.deepEqual(
    offsets.toSorted((x, y) => x - y),
    [CHUNK_SIZE - 10, CHUNK_SIZE + 90, CHUNK_SIZE + 190],
  );
  const first = offsets.indexOf(CHUNK_SIZE - 10) + 1;
  assert.deepEqual((await records(volume, ino, 0)).at(-1), [CHUNK_SIZE - 10, first, 100, 0, 10]);
  assert.deepEqual((await records(volume, ino, 1))[0], [0, first, 100, 10, 90]);
  assert.deepEqual(await volume.redis.hgetall("sliceRef"), { [`k${first}_100`]: "1" });
});

test("fallocate extends, keeps, punches and zeroes as the format says", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  const ino = await makeFile(meta, "f");
  assert.equal((await meta.fallocate(ino, 0, { offset: 0, length: 1000 })).length, 1000);
  assert.equal((await meta.fallocate(ino, 1, { offset: 0, length: 5000 })).length, 1000);
  assert.deepEqual(await records(volume, ino, 0), []);
  await meta.fallocate(ino, 3, { offset: 500, length: 5000 });
  await meta.fallocate(ino, 0x11, { offset: 900, length: 500 });
  assert.equal(
    (await meta.fallocate(ino, 0x10, { offset: CHUNK_SIZE - 5, length: 10 })).length,
    CHUNK_SIZE + 5,
  );
  assert.deepEqual(await records(volume, ino, 0), [
    [500, 0, 0, 0, 500],
    [900, 0, 0, 0, 100],
    [CHUNK_SIZE - 5, 0, 0, 0, 5],
  ]);
  assert.deepEqual(await records(volume, ino, 1), [[0, 0, 0, 0, 5]]);
  await assert.rejects(meta.fallocate(ino, 8, { offset: 0, length: 4096 }), { code: "EOPNOTSUPP" });
  await assert.rejects(meta.fallocate(ino, 0, { offset: 0, length: 0 }), { code: "EINVAL" });
});

test("a full volume refuses what grows, and nothing else", async () => {
  await using volume = await makeVolume({ capacityBytes: 16384 });
  const { meta } = await volume.open();
  const ino = await makeFile(meta, "f");
  await meta.commitSlices([write(ino, 0, 16384, 1n)]);
  const [outcome] = await meta.commitSlices([write(ino, 16384, 1, 2n)]);
  assert.ok(outcome !== undefined && "error" in outcome);
  assert.match(outcome.error.message, /ENOSPC/);
  await assert.rejects(meta.truncate(ROOT_CALLER, ino, 16385), { code: "ENOSPC" });
  await assert.rejects(meta.fallocate(ino, 0, { offset: 16384, length: 1 }), { code: "ENOSPC" });
  const [again] = await meta.commitSlices([write(ino, 0, 16384, 3n)]);
  assert.ok(again !== undefined && "attr" in again);
});

test("lengths end at 2^53, and up to there they are exact", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  const ino = await makeFile(meta, "f");
  const most = 2 ** 53 - 1;
  assert.equal((await meta.truncate(ROOT_CALLER, ino, most)).length, most);
  const chunk = Math.floor(most / CHUNK_SIZE);
  const last = await volume.redis.lrangeBuffer(`c${ino}_${chunk}`, 0, -1);
  assert.equal(last.length, 1);
  const [outcome] = await meta.commitSlices([
    {
      ...write(ino, 0, 10, 1n),
      chunkIndex: chunk,
      slice: { pos: CHUNK_SIZE - 5, id: 1n, size: 10, off: 0, len: 5 },
    },
  ]);
  assert.ok(outcome !== undefined && "error" in outcome);
  await meta.commitSlices([write(ino, most - 10, 10, 1n)]);
  assert.equal((await volume.redis.lrange(`c${ino}_${chunk}`, 0, -1)).length, 2);
  await meta.truncate(ROOT_CALLER, ino, 0);
  assert.equal(await volume.redis.get("usedSpace"), "4096");
});

test("truncating over very many chunks zeroes those that are there", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  const ino = await makeFile(meta, "f");
  const far = 2 ** 50;
  await meta.commitSlices([
    write(ino, far, 100, 1n),
    write(ino, far / 2, 100, 2n),
    write(ino, 0, 100, 3n),
  ]);
  assert.equal((await meta.truncate(ROOT_CALLER, ino, 10)).length, 10);
  assert.deepEqual(await records(volume, ino, 0), [
    [0, 3, 100, 0, 100],
    [10, 0, 0, 0, CHUNK_SIZE - 10],
  ]);
  assert.deepEqual((await records(volume, ino, far / 2 / CHUNK_SIZE)).at(-1), [
    0,
    0,
    0,
    0,
    CHUNK_SIZE,
  ]);
  assert.deepEqual((await records(volume, ino, far / CHUNK_SIZE)).at(-1), [0, 0, 0, 0, 100]);
  assert.equal((await volume.redis.keys("c*")).length, 3);
});

test("a file with two names counts in both folders", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  const node = { type: 2 as const, mode: 0o755, umask: 0 };
  const folder = await meta.create(ROOT_CALLER, ROOT_INO, Buffer.from("d"), node);
  const ino = await makeFile(meta, "f");
  await meta.link(ROOT_CALLER, ino, folder.ino, Buffer.from("g"));
  await meta.commitSlices([write(ino, 0, 5000, 1n)]);
  assert.equal(await volume.redis.hget("dirDataLength", "1"), "5000");
  assert.equal(await volume.redis.hget("dirDataLength", folder.ino.toString()), "5000");
});

test("copying within one file shares its slices, and nothing is copied behind its end", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  const ino = await makeFile(meta, "f");
  await meta.commitSlices([write(ino, 0, 1000, 1n)]);
  const copied = await meta.copyRange({ ino, offset: 0 }, { ino, offset: CHUNK_SIZE - 400 }, 5000);
  assert.equal(copied.copied, 1000);
  assert.deepEqual(await records(volume, ino, 1), [[0, 1, 1000, 400, 600]]);
  assert.deepEqual(await volume.redis.hgetall("sliceRef"), { k1_1000: "2" });
  assert.equal((await meta.copyRange({ ino, offset: 2 ** 40 }, { ino, offset: 0 }, 1)).copied, 0);
  await assert.rejects(meta.copyRange({ ino: 77n, offset: 0 }, { ino, offset: 0 }, 1), {
    code: "ENOENT",
  });
});

test("inodes near 2^53 are made, moved, listed and removed; there are none beyond", async () => {
  await using volume = await makeVolume({ trashDays: 1 });
  const last = 2n ** 53n - 4096n;
  await volume.redis.set("nextinode", (last - 1024n).toString());
  const { meta } = await volume.open();
  const node = { type: TYPE_FILE, mode: 0o644, umask: 0 };
  const [from, to] = [Buffer.from("from"), Buffer.from("to")];
  const folder = await meta.create(ROOT_CALLER, ROOT_INO, from, { ...node, type: TYPE_DIRECTORY });
  assert.equal(folder.ino, last - 1023n);
  const made = await meta.create(ROOT_CALLER, folder.ino, from, node);
  await meta.link(ROOT_CALLER, made.ino, folder.ino, to);
  const names = { fromParent: folder.ino, fromName: to, toParent: ROOT_INO, toName: to, flags: 0 };
  assert.equal((await meta.rename(ROOT_CALLER, names)).ino, made.ino);
  const { entries } = await meta.readdir(ROOT_INO, "0", true);
  const listed = new Map(
    entries.map(({ name, ino, attr }) => [name.toString(), [ino, attr?.nlink]]),
  );
  assert.deepEqual(
    [listed.get("from"), listed.get("to")],
    [
      [folder.ino, 2],
      [made.ino, 2],
    ],
  );
  assert.equal((await meta.unlink(ROOT_CALLER, folder.ino, from)).ino, made.ino);
  assert.equal((await meta.rmdir(ROOT_CALLER, ROOT_INO, from)).ino, folder.ino);
  assert.equal((await meta.lookup(ROOT_INO, to)).attr.nlink, 1);
  const other = (await volume.open()).meta;
  await assert.rejects(other.create(ROOT_CALLER, ROOT_INO, from, node), { code: "ENOSPC" });
  assert.deepEqual(await volume.redis.hkeys("d1"), ["to"]);
});

test("slice ids and inodes are never handed out twice, and the root's number never", async () => {
  await using volume = await makeVolume();
  const opened = [(await volume.open()).meta, (await volume.open()).meta];
  const ids = await Promise.all(
    Array.from({ length: 10_000 }, async (_, index) => opened[index % 2]?.newSliceId()),
  );
  assert.equal(new Set(ids).size, 10_000);
  assert.equal(await makeFile(opened[0] as Meta, "first"), 2n);
});

test("statfs counts what is there against the limits", async () => {
  await using volume = await makeVolume({ capacityBytes: 2 ** 30, inodes: 100 });
  const { meta } = await volume.open();
  await makeFile(meta, "f");
  assert.deepEqual(await meta.statfs(), {
    totalBytes: 2 ** 30,
    availableBytes: 2 ** 30 - 4096,
    usedInodes: 1,
    availableInodes: 99,
  });
});

test("appends are committed once each, however often the connection is cut", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  const ino = await makeFile(meta, "log");
  const cut = async (): Promise<void> => {
    for (let round = 0; round < 10; round++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await volume.redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    }
  };
  const append = async (first: number): Promise<number[]> => {
    const offsets: number[] = [];
    for (let id = first; id < first + 100; id++) {
      const [outcome] = await meta.commitSlices([
        { ...write(ino, 0, 10, BigInt(id)), append: true },
      ]);
      assert.ok(outcome !== undefined && "attr" in outcome);
      offsets.push(outcome.offset);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return offsets;
  };
  const [one, two, three] = await Promise.all([append(1), append(101), append(201), cut()]);
  const offsets = [...one, ...two, ...three].toSorted((x, y) => x - y);
  assert.deepEqual(
    offsets,
    Array.from({ length: 300 }, (_, index) => index * 10),
  );
  assert.equal((await meta.getattr(ino)).length, 3000);
  assert.equal((await meta.readChunk(ino, 0)).length, 300);
});
