import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { log } from "../../src/base/log.ts";
import { ROOT_INO, TYPE_FILE } from "../../src/meta/limits.ts";
import { newFormat } from "../../src/meta/format-options.ts";
import { saveFormat } from "../../src/meta/redis/format-store.ts";
import {
  describeSession,
  heartbeat,
  HEARTBEAT_MS,
  type Beat,
} from "../../src/meta/redis/sessions.ts";
import { makeFolder } from "../support/folder.ts";
import { makeVolume, ROOT_CALLER, type OpenedMeta } from "../support/meta.ts";
import { startRedis } from "../support/redis.ts";
import { until } from "../support/process.ts";

const FILE = { type: TYPE_FILE, mode: 0o644, umask: 0 };

test("a mount is known as a session with our mark until it is closed", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open({ mountpoint: "/mnt/here" });
  const sid = meta.sid.toString();
  const info = JSON.parse((await volume.redis.hget("sessionInfos", sid)) ?? "") as Record<
    string,
    unknown
  >;
  assert.equal(info["MountPoint"], "/mnt/here");
  assert.equal(info["ProcessID"], process.pid);
  assert.match(String(info["Version"]), /^1\.\d+\.\d+\+ts\./);
  const score = Number(await volume.redis.zscore("allSessions", sid));
  assert.ok(Math.abs(score - Date.now() / 1000 - 60) < 5);
  await meta.close();
  assert.equal(await volume.redis.exists("allSessions", "sessionInfos", `answers${sid}`), 0);
});

test("a read-only mount writes nothing", async () => {
  await using volume = await makeVolume();
  const before = await volume.redis.keys("*");
  const { meta } = await volume.open({ readOnly: true });
  assert.equal(meta.sid, 0n);
  assert.equal((await meta.getattr(ROOT_INO)).nlink, 2);
  await assert.rejects(meta.create(ROOT_CALLER, ROOT_INO, Buffer.from("f"), FILE), {
    code: "EROFS",
  });
  await meta.close();
  assert.deepEqual((await volume.redis.keys("*")).toSorted(), before.toSorted());
});

test("who leaves clean-up to others leaves dead sessions to them too", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open({ heartbeatMs: 50, noBgjob: true });
  const { redis } = volume;
  await redis.multi().hset("sessionInfos", "99", "{}").zadd("allSessions", 1, "99").exec();
  for (let beats = 0; beats < 5; beats++) {
    await redis.zadd("allSessions", 2, meta.sid.toString());
    await until("a heartbeat", async () => {
      return Number(await redis.zscore("allSessions", meta.sid.toString())) > 2;
    });
  }
  assert.equal(await redis.zscore("allSessions", "99"), "1");
  assert.equal(await redis.exists("lastCleanupSessions"), 0);
  await volume.open({ heartbeatMs: 50, noBgjob: false });
  await until("the clean-up of another client", async () => {
    return (await redis.zscore("allSessions", "99")) === null;
  });
});

test("what a dead session held is freed by another one", async () => {
  await using volume = await makeVolume({ trashDays: 0 });
  const { meta, deleted } = await volume.open({ heartbeatMs: 300, noBgjob: false });
  const { ino } = await meta.create(ROOT_CALLER, ROOT_INO, Buffer.from("f"), FILE);
  const slice = { pos: 0, id: 5n, size: 10, off: 0, len: 10 };
  await meta.commitSlices([{ ino, chunkIndex: 0, slice, mtime: { sec: 1, nsec: 0 } }]);
  // As a client of another kind would leave it: file unlinked while open, two locks, session expired. Its clock was ahead.
  await volume.redis
    .multi()
    .set("lastCleanupSessions", 4_000_000_000)
    .hdel("d1", "f")
    .setrange(`i${ino}`, 47, "\0\0\0\0")
    .sadd("session99", ino.toString())
    .hset("lockf8", "99_0000000000000001", "W")
    .hset(
      "lockp8",
      "99_0000000000000001",
      Buffer.alloc(24),
      "98_0000000000000001",
      Buffer.alloc(24),
    )
    .sadd("locked99", "lockf8", "lockp8")
    .hset("sessionInfos", "99", "{}")
    .zadd("allSessions", 1, "99")
    .exec();
  const waiting = meta.flock(8n, 1n, "write", AbortSignal.timeout(10_000));
  await until(
    "dead session cleaned",
    async () => (await volume.redis.zscore("allSessions", "99")) === null,
  );
  await waiting;
  assert.deepEqual(await volume.redis.hkeys("lockp8"), ["98_0000000000000001"]);
  assert.equal(await volume.redis.exists("session99", "locked99", `i${ino}`), 0);
  await until(
    "its data deleted",
    async () => (await volume.redis.exists(`c${ino}_0`, "sliceRef", "delfiles")) === 0,
  );
  assert.equal(await volume.redis.get("totalInodes"), "0");
  assert.equal(await volume.redis.get("usedSpace"), "0");
  assert.deepEqual(deleted, [{ id: 5n, size: 10 }]);
});

test("a mount that just connected ends nobody's session", async () => {
  await using volume = await makeVolume();
  await volume.redis.zadd("allSessions", 1, "99");
  await volume.open();
  assert.equal(await volume.redis.zscore("allSessions", "99"), "1");
  assert.equal(await volume.redis.exists("lastCleanupSessions"), 0);
});

test("a mount whose session was ended by somebody is registered again and goes on", async () => {
  await using volume = await makeVolume();
  const { meta, lost } = await volume.open();
  await meta.flock(8n, 1n, "write");
  const sid = meta.sid.toString();
  await volume.redis
    .multi()
    .zrem("allSessions", sid)
    .hdel("sessionInfos", sid)
    .del(`answers${sid}`)
    .exec();
  await until(
    "registered again",
    async () => (await volume.redis.hexists("sessionInfos", sid)) === 1,
  );
  await meta.create(ROOT_CALLER, ROOT_INO, Buffer.from("f"), FILE);
  assert.equal(lost.length, 1);
});

test("a volume that is destroyed or replaced is gone for its mounts", async () => {
  await using volume = await makeVolume();
  const { gone } = await volume.open({ heartbeatMs: 300 });
  await volume.redis.flushdb();
  await until("gone", () => gone.length > 0);
  assert.match(gone[0] ?? "", /"volume" was destroyed/);
});

test("settings changed by somebody are seen", async () => {
  await using volume = await makeVolume();
  const { meta, gone } = await volume.open();
  const changed = { ...meta.format, Capacity: 2 ** 40 };
  await saveFormat(volume.redis, changed);
  // A session that comes makes every mount look around at once.
  await volume.open();
  await until("new capacity", () => meta.format.Capacity === 2 ** 40);
  assert.deepEqual(gone, []);
});

test("a new volume has the keys that JuiceFS makes, and no other database is touched", async () => {
  await using server = await startRedis();
  await using volume = await makeVolume({}, server);
  assert.deepEqual((await volume.redis.keys("*")).toSorted(), [
    "i1",
    "i9223372032828243968",
    "setting",
  ]);
  assert.match(
    (await volume.redis.getBuffer("i1"))?.toString("hex") ?? "",
    /^0021ff0000000000000000(00000000[0-9a-f]{8}00000000){3}00000002000000000000100000000000000000000000000100$/,
  );
  assert.match(
    (await volume.redis.getBuffer("i9223372032828243968"))?.toString("hex") ?? "",
    /^00216d0000000000000000(00000000[0-9a-f]{8}00000000){3}00000002000000000000100000000000000000000000000100$/,
  );
  await volume.redis.select(2);
  await volume.redis.set("other", "1");
  await assert.rejects(
    saveFormat(volume.redis, newFormat("volume", {})),
    /holds 1 key that is not JuiceFS's/,
  );
});

test("what can never change is refused by name, and root is not made anew", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  await meta.create(ROOT_CALLER, ROOT_INO, Buffer.from("f"), FILE);
  await assert.rejects(saveFormat(volume.redis, { ...meta.format, BlockSize: 64 }), /BlockSize/);
  await assert.rejects(
    saveFormat(volume.redis, { ...meta.format, Compression: "lz4" }),
    /Compression/,
  );
  const root = await volume.redis.getBuffer("i1");
  await saveFormat(volume.redis, { ...meta.format, TrashDays: 5 });
  assert.deepEqual(await volume.redis.getBuffer("i1"), root);
});

test("two who make a volume at once end with one of them", async () => {
  await using server = await startRedis();
  await using volume = await makeVolume({}, server);
  await volume.redis.select(3);
  const other = volume.redis.duplicate({ db: 3 });
  const outcomes = await Promise.allSettled([
    saveFormat(volume.redis, newFormat("one", {})),
    saveFormat(other, newFormat("two", {})),
  ]);
  other.disconnect();
  assert.deepEqual(outcomes.map((one) => one.status).toSorted(), ["fulfilled", "rejected"]);
});

test("a volume that asks for what is not written is refused for writing and can be read", async () => {
  await using volume = await makeVolume();
  await volume.redis.hset("dirQuota", "1", Buffer.alloc(16));
  await assert.rejects(volume.open(), /directory quotas/);
  const { meta } = await volume.open({ readOnly: true });
  assert.equal((await meta.getattr(ROOT_INO)).type, 2);
});

test("a mount in use goes on when somebody asks for what is not written, and says so once", async (t) => {
  await using volume = await makeVolume();
  const warn = t.mock.method(log, "warn", () => undefined);
  const { meta } = await volume.open({ heartbeatMs: 100 });
  await volume.redis.hset("dirQuota", "1", Buffer.alloc(16));
  const said = (): string[] =>
    warn.mock.calls
      .map(({ arguments: [text] }) => String(text))
      .filter((text) => /quota/.test(text));
  await until("a warning", () => said().length > 0);
  await sleep(500);
  assert.equal(said().length, 1);
  const successor = (await volume.open({ sid: meta.sid })).meta;
  await successor.create(ROOT_CALLER, ROOT_INO, Buffer.from("f"), FILE);
});

test("a mount is told with a heartbeat that somebody changed the settings, and once", async () => {
  await using volume = await makeVolume();
  const { meta, settings } = await volume.open({ heartbeatMs: 300 });
  await saveFormat(volume.redis, { ...meta.format, UploadLimit: 80 });
  await until("told", () => settings.length > 0);
  assert.equal(settings[0]?.UploadLimit, 80);
  assert.equal(meta.format.UploadLimit, 80);
  await saveFormat(volume.redis, { ...meta.format, TrashDays: 9 });
  await until("told again", () => settings.length > 1);
  assert.deepEqual(
    settings.map(({ TrashDays }) => TrashDays),
    [1, 9],
  );
});

test("a server that lost what was last written to it gives out no number that is in use", async () => {
  await using folder = await makeFolder();
  await using server = await startRedis({ args: ["--dir", folder.path] });
  await using volume = await makeVolume({}, server);
  await volume.redis.save();
  const one = await volume.open();
  const create = async ({ meta }: OpenedMeta, name: string): Promise<bigint> =>
    (await meta.create(ROOT_CALLER, ROOT_INO, Buffer.from(name), FILE)).ino;
  await create(one, "lost");
  await one.meta.newSliceId();

  await server.stop("SIGKILL");
  await using stack = new AsyncDisposableStack();
  stack.use(await startRedis({ args: ["--dir", folder.path], port: server.port }));
  await until("it is known again", async () => {
    return (await volume.redis.zcard("allSessions").catch(() => 0)) === 1;
  });
  const two = await volume.open();
  assert.notEqual(two.meta.sid, one.meta.sid);
  const [ours, theirs] = [new Set<bigint>(), new Set<bigint>()];
  for (let round = 0; round < 20; round++) {
    ours.add(await create(one, `ours ${round}`)).add(await one.meta.newSliceId());
    theirs.add(await create(two, `theirs ${round}`)).add(await two.meta.newSliceId());
  }
  assert.deepEqual([...ours.intersection(theirs)], []);
});

test("a host whose clock is wrong neither takes others for dead nor is taken for dead", async (t) => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  const beat = async (sid: bigint, wrongMs: number): Promise<Beat> => {
    await volume.redis.del("lastCleanupSessions");
    const right = Date.now();
    const clock = t.mock.method(Date, "now", () => right + wrongMs);
    const own = { sid, info: describeSession("/mnt/test"), periodMs: HEARTBEAT_MS };
    const beating = heartbeat(volume.redis, own, true);
    clock.mock.restore();
    return beating;
  };
  for (const wrongMs of [-600_000, 600_000]) {
    const theirs = await beat(meta.sid + 1n, wrongMs);
    assert.deepEqual([theirs.dead, theirs.companions], [[], 1], `${wrongMs} ms`);
    const ours = await beat(meta.sid, 0);
    assert.deepEqual([ours.dead, ours.companions], [[], 1], `${wrongMs} ms`);
  }
});
