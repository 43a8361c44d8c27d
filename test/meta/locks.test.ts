import assert from "node:assert/strict";
import { test } from "node:test";
import type { RangeLock } from "../../src/meta/types.ts";
import { makeVolume } from "../support/meta.ts";

const EOF_POSITION = 2n ** 63n - 1n;

function range(type: RangeLock["type"], start: bigint, end: bigint, pid = 1234): RangeLock {
  return { type, start, end, pid };
}

test("byte ranges are stored as the format's example has them", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  await meta.setlk(7n, 0xdeadbeefn, range("write", 0n, 99n));
  await meta.setlk(7n, 0xdeadbeefn, range("read", 50n, EOF_POSITION));
  const field = `${meta.sid}_00000000DEADBEEF`;
  assert.equal(
    (await volume.redis.hgetBuffer("lockp7", field))?.toString("hex"),
    "00000001000004d200000000000000000000000000000031" +
      "00000000000004d200000000000000327fffffffffffffff",
  );
  assert.deepEqual(await volume.redis.smembers(`locked${meta.sid}`), ["lockp7"]);
});

test("dropping the middle of a range leaves both ends, and dropping all leaves nothing", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  await meta.setlk(7n, 1n, range("write", 0n, 2n ** 32n + 100n));
  await meta.setlk(7n, 1n, range("unlock", 2n ** 32n, 2n ** 32n));
  const other = await meta.getlk(7n, 2n, range("read", 2n ** 32n, EOF_POSITION));
  assert.deepEqual(other, range("write", 2n ** 32n + 1n, 2n ** 32n + 100n));
  await meta.setlk(7n, 1n, range("write", 2n ** 32n, 2n ** 32n));
  assert.equal((await volume.redis.hvals("lockp7"))[0]?.length, 24);
  await meta.setlk(7n, 1n, range("unlock", 0n, EOF_POSITION));
  assert.equal(await volume.redis.exists("lockp7", `locked${meta.sid}`), 0);
});

test("any sequence of byte ranges of one owner holds what painting them one by one would", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  const painted = new Array<string>(24).fill("unlock");
  const types = ["read", "write", "unlock"] as const;
  let seed = 7;
  const next = (below: number): number => (seed = (seed * 48271) % 2147483647) % below;
  for (let step = 0; step < 200; step++) {
    const type = types[next(3)] ?? "read";
    const start = next(24);
    const end = Math.min(start + next(12), 23);
    await meta.setlk(7n, 1n, range(type, BigInt(start), BigInt(end)));
    painted.fill(type, start, end + 1);
    const value = (await volume.redis.hvalsBuffer("lockp7"))[0] ?? Buffer.alloc(0);
    const held = new Array<string>(24).fill("unlock");
    for (let at = 0; at < value.length; at += 24) {
      const name = types[value.readUInt32BE(at)] ?? "";
      held.fill(
        name,
        Number(value.readBigUInt64BE(at + 8)),
        Number(value.readBigUInt64BE(at + 16)) + 1,
      );
    }
    assert.deepEqual(held, painted);
  }
});

test("ranges conflict between owners when one of them writes; the pid of another session is not told", async () => {
  await using volume = await makeVolume();
  const { meta: one } = await volume.open();
  const { meta: two } = await volume.open();
  await one.setlk(7n, 1n, range("read", 0n, 9n));
  await two.setlk(7n, 1n, range("read", 5n, 20n));
  await assert.rejects(two.setlk(7n, 1n, range("write", 5n, 5n)), { code: "EAGAIN" });
  assert.deepEqual(await two.getlk(7n, 1n, range("write", 0n, 30n)), range("read", 0n, 9n, 0));
  assert.deepEqual(await two.getlk(7n, 2n, range("write", 15n, 30n)), range("read", 5n, 20n));
  await two.setlk(7n, 1n, range("write", 10n, 12n));
});

test("flocks are shared or exclusive, and taking one twice is one lock", async () => {
  await using volume = await makeVolume();
  const { meta: one } = await volume.open();
  const { meta: two } = await volume.open();
  await one.flock(7n, 1n, "read");
  await one.flock(7n, 1n, "read");
  await two.flock(7n, 0xabn, "read");
  assert.deepEqual(await volume.redis.hgetall("lockf7"), {
    [`${one.sid}_0000000000000001`]: "R",
    [`${two.sid}_00000000000000AB`]: "R",
  });
  await one.flock(7n, 1n, "unlock");
  assert.equal(await volume.redis.exists(`locked${one.sid}`), 0);
  await two.flock(7n, 0xabn, "write");
  await assert.rejects(one.flock(7n, 1n, "read"), { code: "EAGAIN" });
});

test("two who hold a flock shared and both want it alone get it one after the other", async () => {
  await using volume = await makeVolume();
  const { meta: one } = await volume.open();
  const { meta: two } = await volume.open();
  await one.flock(7n, 1n, "read");
  await two.flock(7n, 2n, "read");
  const signal = AbortSignal.timeout(10_000);
  const upgrade = async (meta: typeof one, owner: bigint): Promise<void> => {
    await meta.flock(7n, owner, "write", signal);
    await meta.flock(7n, owner, "unlock");
  };
  await Promise.all([upgrade(one, 1n), upgrade(two, 2n)]);
  assert.equal(await volume.redis.exists("lockf7", "waiters"), 0);
});

test("a waiter is woken when the lock is free, on this mount and on another", async () => {
  await using volume = await makeVolume();
  const { meta: one } = await volume.open();
  const { meta: two } = await volume.open();
  const signal = AbortSignal.timeout(10_000);
  await one.flock(7n, 1n, "write");
  const order: string[] = [];
  const waiting = [
    two.flock(7n, 2n, "read", signal).then(() => order.push("two")),
    one.flock(7n, 3n, "read", signal).then(() => order.push("one")),
  ];
  while ((await volume.redis.zcard("waiters")) === 0) await new Promise(setImmediate);
  order.push("dropped");
  await one.flock(7n, 1n, "unlock");
  await Promise.all(waiting);
  assert.equal(order[0], "dropped");
});

test("a wait that is interrupted is EINTR and leaves no lock", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  await meta.setlk(7n, 1n, range("write", 0n, 10n));
  const interrupt = new AbortController();
  const waiting = meta.setlk(7n, 2n, range("write", 5n, 6n), interrupt.signal);
  while ((await volume.redis.zcard("waiters")) === 0) await new Promise(setImmediate);
  interrupt.abort();
  await assert.rejects(waiting, { code: "EINTR" });
  assert.deepEqual(await volume.redis.hkeys("lockp7"), [`${meta.sid}_0000000000000001`]);
  assert.equal(await volume.redis.exists("waiting"), 0);
});

test("who closes a circle of waiters on several mounts is told EDEADLK", async () => {
  await using volume = await makeVolume();
  const { meta: one } = await volume.open();
  const { meta: two } = await volume.open();
  const signal = AbortSignal.timeout(10_000);
  const everything = range("write", 0n, 99n);
  await one.setlk(7n, 1n, everything);
  await two.setlk(8n, 2n, everything);
  await one.setlk(9n, 3n, everything);
  const first = two.setlk(7n, 2n, everything, signal);
  const second = one.setlk(8n, 3n, everything, signal);
  while ((await volume.redis.hlen("waiting")) < 2) await new Promise(setImmediate);
  await assert.rejects(one.setlk(9n, 1n, everything, signal), { code: "EDEADLK" });
  await one.setlk(7n, 1n, range("unlock", 0n, 99n));
  await first;
  await two.setlk(8n, 2n, range("unlock", 0n, 99n));
  await second;
  assert.equal(await volume.redis.exists("waiting"), 0);
});

test("who waits no longer closes no circle", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  const everything = range("write", 0n, 99n);
  await meta.setlk(7n, 1n, everything);
  await meta.setlk(8n, 2n, everything);
  // Owner 2 waited for inode 6, which owner 1 holds no more.
  const record = "00000001000004d200000000000000000000000000000063";
  await volume.redis.hset(
    "waiting",
    `${meta.sid}_0000000000000002`,
    Buffer.concat([Buffer.from("6"), Buffer.from(record, "hex")]),
  );
  const waiting = meta.setlk(8n, 1n, everything, AbortSignal.timeout(10_000));
  while ((await volume.redis.zcard("waiters")) === 0) await new Promise(setImmediate);
  await meta.setlk(8n, 2n, range("unlock", 0n, 99n));
  await waiting;
});

test("closing a mount frees its locks", async () => {
  await using volume = await makeVolume();
  const { meta: one } = await volume.open();
  const { meta: two } = await volume.open();
  await one.flock(7n, 1n, "write");
  await one.setlk(7n, 1n, range("write", 0n, 10n));
  const waiting = two.flock(7n, 2n, "write", AbortSignal.timeout(10_000));
  await one.close();
  await waiting;
  await two.setlk(7n, 1n, range("write", 0n, 10n));
});
