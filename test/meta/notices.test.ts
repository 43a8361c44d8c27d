import assert from "node:assert/strict";
import { test } from "node:test";
import { Redis } from "ioredis";
import { isTrash, ROOT_INO, TYPE_FILE } from "../../src/meta/limits.ts";
import type { Notice } from "../../src/meta/meta.ts";
import { compareIds, decodeMessage, isEcho, splitMessage } from "../../src/meta/redis/notice.ts";
import { makeFolder } from "../support/folder.ts";
import { makeVolume, ROOT_CALLER, type OpenedMeta } from "../support/meta.ts";
import { startProgram, until } from "../support/process.ts";
import { startRedis } from "../support/redis.ts";

const FILE = { type: TYPE_FILE, mode: 0o644, umask: 0 };

function names(notices: readonly Notice[]): string[] {
  return notices.flatMap((one) => one.entries.map(({ name }) => name.toString()));
}

async function trusted({ meta }: OpenedMeta): Promise<void> {
  await until("long trust", () => meta.trust === "long");
}

test("a message is decoded note by note, those of a newer client passed over", () => {
  const parts = splitMessage(
    Buffer.concat([
      Buffer.from("1700-3 "),
      Buffer.from("0000000000000007", "hex"),
      Buffer.from("65000000000000000102fe20", "hex"),
      Buffer.from(
        "61000000000000000564000000000000000678000000000000000771000000000000000a6300000000000000096c0000000000000008",
        "hex",
      ),
    ]),
  );
  assert.equal(parts?.id, "1700-3");
  assert.deepEqual(decodeMessage(parts.body), {
    sid: 7n,
    notice: {
      entries: [{ parent: 1n, name: Buffer.from([0xfe, 0x20]) }],
      attrs: [5n],
      data: [6n],
      slices: [9n],
      xattrs: [7n],
      directories: [],
      unexplained: [],
    },
    made: [],
    unlocked: [8n],
    nameless: [],
  });
  assert.equal(splitMessage(Buffer.alloc(0)), undefined);
});

test("a session learns from its own messages of dropped locks, and of what happened in the trash", () => {
  const message = (...notes: string[]): Buffer => {
    return Buffer.from(["0000000000000007", ...notes].join(""), "hex");
  };
  const [entry, attr] = ["6500000000000000010161", "610000000000000005"];
  const [unlocked, inTrash] = ["6c0000000000000005", "657fffffff100001230161"];
  assert.equal(isEcho(message(entry, attr, entry), 7n), true);
  assert.equal(isEcho(message(entry, attr), 8n), false);
  assert.equal(isEcho(message(entry, unlocked), 7n), false);
  assert.equal(isEcho(message(attr, entry, inTrash, attr), 7n), false);
  assert.equal(isEcho(message(), 7n), true);
});

test("what one mount changes the other is told, and what it did itself only in the trash", async () => {
  await using volume = await makeVolume();
  const [one, two] = [await volume.open(), await volume.open()];
  await trusted(two);
  const { ino } = await one.meta.create(ROOT_CALLER, ROOT_INO, Buffer.from("f"), FILE);
  await one.meta.setattr(ROOT_CALLER, ino, { mode: 0o600 });
  await one.meta.setxattr(ino, Buffer.from("user.a"), { value: Buffer.from("b"), flags: 0 });
  await one.meta.truncate(ROOT_CALLER, ino, 5);
  await one.meta.unlink(ROOT_CALLER, ROOT_INO, Buffer.from("f"));
  await until("all notices", () => names(two.notices).filter((name) => name === "f").length === 2);
  assert.ok(two.notices.some(({ attrs }) => attrs.includes(ino)));
  assert.ok(two.notices.some(({ data }) => data.includes(ino)));
  assert.ok(two.notices.some(({ xattrs }) => xattrs.includes(ino)));
  const told = one.notices.flatMap(({ attrs, entries, directories }) => [
    ...[...attrs, ...directories, ...entries.map(({ parent }) => parent)],
  ]);
  assert.ok(told.length > 0 && told.every(isTrash), String(told));
});

test("trust is long among our own mounts, and short while an official client is there", async () => {
  await using volume = await makeVolume();
  const mount = await volume.open();
  await trusted(mount);
  const far = Math.floor(Date.now() / 1000) + 60;
  await volume.redis
    .multi()
    .zadd("allSessions", far, "77")
    .hset("sessionInfos", "77", '{"Version":"1.4.2+2026-10-26.abc"}')
    .exec();
  await until("short trust", () => mount.meta.trust === "short");
  await volume.redis.multi().hdel("sessionInfos", "77").zrem("allSessions", "77").exec();
  await trusted(mount);
  assert.deepEqual(mount.trusts.slice(-3), ["long", "short", "long"]);
});

test("what was missed during a short interruption is read afterwards, and nothing is dropped", async () => {
  await using volume = await makeVolume();
  const [one, two] = [await volume.open(), await volume.open()];
  await trusted(one);
  await trusted(two);
  await one.meta.create(ROOT_CALLER, ROOT_INO, Buffer.from("before"), FILE);
  await until("notice", () => names(two.notices).includes("before"));
  const heard = two.trusts.length;
  for (let round = 0; round < 5; round++) {
    await volume.redis.call("CLIENT", "KILL", "TYPE", "pubsub");
    const name = Buffer.from(`round ${round}`);
    await one.meta.create(ROOT_CALLER, ROOT_INO, name, FILE);
    await until("missed notice", () => names(two.notices).includes(name.toString()));
  }
  assert.deepEqual(two.trusts.slice(heard), []);
});

test("when the stream no longer holds what was missed, everything is given up", async () => {
  await using volume = await makeVolume();
  const [one, two] = [await volume.open(), await volume.open()];
  await trusted(two);
  await one.meta.create(ROOT_CALLER, ROOT_INO, Buffer.from("a"), FILE);
  await until("notice", () => names(two.notices).includes("a"));
  const heard = two.trusts.length;
  await volume.redis
    .multi()
    .del("notices")
    .xadd("notices", "*", "n", Buffer.alloc(8))
    .call("CLIENT", "KILL", "TYPE", "pubsub")
    .exec();
  await until("given up", () => two.trusts.slice(heard).includes("none"));
  await trusted(two);
});

test("when the server lost its last notices and others went on, everything is given up", async () => {
  await using folder = await makeFolder();
  await using server = await startRedis({ args: ["--dir", folder.path] });
  await using volume = await makeVolume({}, server);
  const opened = await volume.open();
  await trusted(opened);
  await volume.redis.save();
  const saved = opened.meta.lastNotice;
  await opened.meta.create(ROOT_CALLER, ROOT_INO, Buffer.from("lost"), FILE);
  await until("the notice of it", () => opened.meta.lastNotice !== saved);
  const last = opened.meta.lastNotice;
  opened.trusts.length = 0;

  await server.stop("SIGKILL");
  await using stack = new AsyncDisposableStack();
  const again = startProgram("redis-server", [
    ...["--port", String(server.port), "--bind", "127.0.0.1", "--dir", folder.path],
    ...["--appendonly", "no", "--save", ""],
  ]);
  stack.use(again);
  // As soon as it listens somebody else changes something.
  const other = new Redis(volume.url, { retryStrategy: () => 1, maxRetriesPerRequest: null });
  other.on("error", () => undefined);
  const first = await other.xadd("notices", "*", "n", Buffer.alloc(8));
  other.disconnect();

  await until("trust again", () => opened.meta.trust === "long" && opened.meta.lastNotice !== last);
  assert.ok(compareIds(first ?? "", last ?? "") > 0);
  assert.ok(opened.trusts.includes("none"), opened.trusts.join());
});

test("a server that is stopped is trusted no longer than the lease", async () => {
  await using volume = await makeVolume();
  const mount = await volume.open();
  await trusted(mount);
  process.kill(volume.server.pid, "SIGSTOP");
  try {
    await until("no trust", () => mount.trusts.includes("none") && mount.meta.trust === "none");
  } finally {
    process.kill(volume.server.pid, "SIGCONT");
  }
  await trusted(mount);
});

test("a Redis user without the channel gets answers that are kept shortly, and changes succeed", async () => {
  await using volume = await makeVolume();
  await volume.redis.call("ACL", "SETUSER", "narrow", "on", ">pw", "~*", "+@all", "resetchannels");
  const url = volume.url.replace("//", "//narrow:pw@");
  const mount = await volume.open({}, url);
  await until("short trust", () => mount.trusts.includes("short"));
  await mount.meta.create(ROOT_CALLER, ROOT_INO, Buffer.from("f"), FILE);
  assert.equal((await mount.meta.lookup(ROOT_INO, Buffer.from("f"))).ino, 2n);
});

test("a successor that knows the last notice reads what came after it", async () => {
  await using volume = await makeVolume();
  const [one, two] = [await volume.open(), await volume.open()];
  await trusted(two);
  await one.meta.create(ROOT_CALLER, ROOT_INO, Buffer.from("seen"), FILE);
  await until("notice", () => names(two.notices).includes("seen"));
  const lastNotice = two.meta.lastNotice;
  await one.meta.create(ROOT_CALLER, ROOT_INO, Buffer.from("missed"), FILE);
  const successor = await volume.open({ lastNotice });
  await until("missed notice", () => names(successor.notices).includes("missed"));
  assert.ok(!names(successor.notices).includes("seen"));
});

test("a successor of a process that saw no change at all reads every one, and gives nothing up", async () => {
  await using volume = await makeVolume();
  const one = await volume.open();
  await trusted(one);
  const lastNotice = one.meta.lastNotice;
  await one.meta.create(ROOT_CALLER, ROOT_INO, Buffer.from("missed"), FILE);
  const successor = await volume.open({ lastNotice });
  await until("missed notice", () => names(successor.notices).includes("missed"));
  await trusted(successor);
  assert.deepEqual(successor.trusts, ["long"]);
});
