import assert from "node:assert/strict";
import {
  appendFile,
  mkdir,
  open,
  readdir,
  readFile,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Redis } from "ioredis";
import { log } from "../../src/base/log.ts";
import { EmbeddedRedis } from "../../src/driver/embedded-redis.ts";
import { cutTail, wholeLength } from "../../src/driver/redis-log.ts";
import { makeFolder } from "../support/folder.ts";

log.level = "silent";

function command(...words: string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join("")}`;
}

async function wholeOf(path: string, text: string, window?: number): Promise<number> {
  await writeFile(path, text, "latin1");
  await using file = await open(path);
  return await wholeLength(file, window);
}

test("what is whole ends before the first command that is not, or before its transaction", async () => {
  await using folder = await makeFolder();
  const path = join(folder.path, "log");
  const whole = command("SET", "a", "\r\n*1\r\n$3\r\n") + command("MULTI") + command("EXEC");
  const ends = [
    "",
    "\0".repeat(5000),
    "*2\r\n$3\r\nGET\r\n$1\r\n",
    "*1\r\n$4\r\nPINGxx",
    "*1\r\n$99999\r\nPING\r\n",
    "*0\r\n",
    "*x\r\n",
    "$1\r\na\r\n",
    command("MULTI") + command("SET", "a", "1"),
    command("multi") + command("SET", "a", "1") + "\0",
  ];
  for (const end of ends) {
    for (const window of [undefined, 16, 37, 4096]) {
      const found = await wholeOf(path, whole + end, window);
      assert.equal(found, whole.length, `${window} ${JSON.stringify(end)}`);
    }
  }
});

/** Writes to a Redis as the driver runs it. @returns its newest file */
async function written(folder: string): Promise<string> {
  const redis = new EmbeddedRedis({ state: folder, logs: folder });
  await redis.start();
  await using client = connect(redis);
  await client.multi().set("key", "value").set("other", "value").exec();
  await redis.stop();
  return join(folder, "redis/appendonlydir/appendonly.aof.1.incr.aof");
}

function connect(redis: EmbeddedRedis): Redis & AsyncDisposable {
  const client = new Redis(redis.url(3).replace(/^unix:\/\//, ""), { lazyConnect: false });
  client.on("error", () => undefined);
  return Object.assign(client, {
    [Symbol.asyncDispose]: () => {
      client.disconnect();
      return Promise.resolve();
    },
  });
}

test("the driver's Redis starts again whatever lies behind what it acknowledged, which is put aside", async () => {
  await using folder = await makeFolder();
  const path = await written(folder.path);
  const { size } = await stat(path);
  const half = command("MULTI") + command("SET", "key", "half");
  for (const [number, end] of [half, "\0".repeat(4096), `${half}\0\0\0`].entries()) {
    await truncate(path, size);
    await appendFile(path, end);
    const redis = new EmbeddedRedis({ state: folder.path, logs: folder.path });
    await redis.start();
    await using client = connect(redis);
    assert.deepEqual(await client.mget("key", "other"), ["value", "value"]);
    await redis.stop();
    const aside = (await readdir(join(folder.path, "redis"))).filter((name) => /bad/.test(name));
    // Redis itself passes over an end that is only missing.
    assert.equal(aside.length, number);
    if (number !== 1) continue;
    const kept = await readFile(join(folder.path, "redis", aside[0] ?? ""), "utf8");
    assert.equal(kept, end);
  }
});

test("what is damaged before the end is left to whoever can judge it", async () => {
  await using folder = await makeFolder();
  const path = await written(folder.path);
  await appendFile(path, Buffer.alloc(5 << 20));
  const before = await readFile(path);
  const redis = new EmbeddedRedis({ state: folder.path, logs: folder.path });
  await assert.rejects(redis.start(), /it ended with status 1; .*redis\.log tells why$/);
  assert.ok(before.equals(await readFile(path)));
});

test("where there is no file nothing is cut off", async () => {
  await using folder = await makeFolder();
  assert.equal(await cutTail(folder.path), undefined);
  await mkdir(join(folder.path, "appendonlydir"));
  await writeFile(join(folder.path, "appendonlydir/appendonly.aof.manifest"), "nothing\n");
  assert.equal(await cutTail(folder.path), undefined);
});
