import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { ROOT_INO, TYPE_FILE } from "../../src/meta/limits.ts";
import type { Meta } from "../../src/meta/meta.ts";
import { makeVolume, ROOT_CALLER, type TestVolume } from "../support/meta.ts";
import { freePort, until } from "../support/process.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { startProxy } from "../support/tcp-proxy.ts";

/** Servers with replicas: what a mount does while another one takes over. */

const FILE = { type: TYPE_FILE, mode: 0o644, umask: 0 };

function talkTo(server: TestRedis): Redis & AsyncDisposable {
  const client = new Redis(server.url(), { protocol: 2 });
  return Object.assign(client, {
    [Symbol.asyncDispose]: async () => {
      await client.quit();
    },
  });
}

test("a server that became a replica is left for the one that its address leads to", async () => {
  await using one = await startRedis();
  await using two = await startRedis();
  await using proxy = await startProxy(one.port);
  await using volume = await makeVolume({}, one);
  const url = `redis://127.0.0.1:${proxy.port}/1`;
  const [ours, theirs] = [await volume.open({}, url), await volume.open({}, url)];
  await until("long trust", () => ours.meta.trust === "long" && theirs.meta.trust === "long");
  await using first = talkTo(one);
  await using second = talkTo(two);
  await second.replicaof("127.0.0.1", one.port);
  await until("the replica has all", async () => {
    return (await second.info("replication")).includes("master_link_status:up");
  });

  proxy.redirect(two.port);
  await second.replicaof("NO", "ONE");
  await first.replicaof("127.0.0.1", two.port);
  await ours.meta.create(ROOT_CALLER, ROOT_INO, Buffer.from("f"), FILE);

  assert.equal((await theirs.meta.lookup(ROOT_INO, Buffer.from("f"))).attr.type, TYPE_FILE);
  await theirs.meta.create(ROOT_CALLER, ROOT_INO, Buffer.from("g"), FILE);
  await until("notices of each other", () =>
    ours.notices.some(({ entries }) => entries.some(({ name }) => name.toString() === "g")),
  );
});

/** A change that is refused at first, and done when the server has the replicas that it wants. */
async function createWhileReplicasLack({ redis }: TestVolume, meta: Meta): Promise<void> {
  const creating = meta.create(ROOT_CALLER, ROOT_INO, Buffer.from("f"), FILE);
  creating.catch(() => undefined);
  await sleep(300);
  await redis.config("SET", "min-replicas-to-write", 0);
  const { ino } = await creating;
  assert.equal((await meta.lookup(ROOT_INO, Buffer.from("f"))).ino, ino);
}

test("a server that lacks replicas for a moment is waited for", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  await volume.redis.config("SET", "min-replicas-to-write", 1);
  await createWhileReplicasLack(volume, meta);
});

test("a connection that is made to a server that lacks replicas for a moment changes things as soon as it has them", async () => {
  await using volume = await makeVolume();
  await using proxy = await startProxy(volume.server.port);
  const { meta } = await volume.open({ patienceMs: 5000 }, `redis://127.0.0.1:${proxy.port}/1`);
  await meta.create(ROOT_CALLER, ROOT_INO, Buffer.from("before"), FILE);
  await volume.redis.config("SET", "min-replicas-to-write", 1);
  proxy.cut();
  await until("the session's fence is refused", async () => {
    return (await volume.redis.info("errorstats")).includes("NOREPLICAS");
  });
  await createWhileReplicasLack(volume, meta);
});

test("notices that a server refused for a moment are listened for when it refuses them no more", async () => {
  await using volume = await makeVolume();
  await using proxy = await startProxy(volume.server.port);
  const { meta } = await volume.open({}, `redis://127.0.0.1:${proxy.port}/1`);
  await until("long trust", () => meta.trust === "long");
  // Who finds no stream begins one, and that is refused.
  await volume.redis.del("notices");
  await volume.redis.config("SET", "min-replicas-to-write", 1);
  proxy.cut();
  await until("no trust", () => meta.trust === "none");
  await volume.redis.config("SET", "min-replicas-to-write", 0);
  await until("long trust again", () => meta.trust === "long");
});

test("numbers for what is new are waited for while nobody listens", async () => {
  await using volume = await makeVolume();
  await using proxy = await startProxy(volume.server.port);
  const { meta } = await volume.open({}, `redis://127.0.0.1:${proxy.port}/1`);
  proxy.redirect(await freePort());
  proxy.cut();
  const number = Promise.resolve(meta.newSliceId());
  number.catch(() => undefined);
  await sleep(300);
  proxy.redirect(volume.server.port);
  assert.ok((await number) > 0n);
});

test("who waits for a server waits as long as ever when the clock is set meanwhile", async (t) => {
  await using volume = await makeVolume();
  await using proxy = await startProxy(volume.server.port);
  const { meta } = await volume.open({}, `redis://127.0.0.1:${proxy.port}/1`);
  proxy.redirect(await freePort());
  proxy.cut();
  const creating = meta.create(ROOT_CALLER, ROOT_INO, Buffer.from("f"), FILE);
  creating.catch(() => undefined);
  const right = Date.now();
  t.mock.method(Date, "now", () => right + 3_600_000);
  await sleep(300);
  proxy.redirect(volume.server.port);
  assert.ok((await creating).ino > 0n);
});
