import assert from "node:assert/strict";
import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { askTestMount, formatTestVolume, mountVolume } from "../support/mount.ts";
import { until } from "../support/process.ts";
import { startRedis } from "../support/redis.ts";
import { countRoundTrips } from "../support/round-trips.ts";

/** Several volumes on one server, each in a database of its own. Numbers of inodes are the same in all of them. */

test("what happens in another database of the server is not listened to", async () => {
  await using server = await startRedis();
  await using first = await formatTestVolume({ server, database: 1 });
  await using second = await formatTestVolume({ server, database: 2 });
  await using one = await mountVolume(first, ["--heartbeat", "1", "--no-bgjob"]);
  await using two = await mountVolume(second, ["--heartbeat", "1", "--no-bgjob"]);
  await using trips = await countRoundTrips(server);
  const names = Array.from({ length: 50 }, (_, at) => `file-${at}`);
  const fill = async (path: string): Promise<void> => {
    await mkdir(join(path, "d"));
    for (const name of names) await writeFile(join(path, "d", name), name);
  };
  const look = async (): Promise<void> => {
    await readdir(join(one.path, "d"));
    for (const name of names) await stat(join(one.path, "d", name));
  };
  await fill(one.path);
  // A heartbeat has looked at what else is on the server.
  await sleep(2000);
  await look();
  await fill(two.path);
  for (const name of names) await writeFile(join(two.path, "d", name), "changed");
  const asked = (await trips.during(look)).filter((command) => !/heartbeat|evalsha/i.test(command));
  assert.deepEqual(asked, []);
  await sleep(1500);
  const { notices } = await askTestMount({ path: one.path, folder: first.folder });
  const before = notices?.unexplained ?? -1;
  await writeFile(join(two.path, "d/more"), "");
  await sleep(1500);
  const after = await askTestMount({ path: one.path, folder: first.folder });
  assert.equal(after.notices?.unexplained, before);
});

test("a tool that has no session is heard of at once where the server holds one volume", async () => {
  await using volume = await formatTestVolume();
  await using mount = await mountVolume(volume);
  await writeFile(join(mount.path, "f"), "");
  await until("what is heard is long believed", async () => {
    const { notices } = await askTestMount({ path: mount.path, folder: volume.folder });
    return notices?.trust === "long";
  });
  const { ino } = await stat(join(mount.path, "f"));
  const { Redis } = await import("ioredis");
  const tool = new Redis(volume.metaUrl, { protocol: 2 });
  try {
    const record = (await tool.getBuffer(`i${ino}`)) ?? Buffer.alloc(0);
    // The permission bits.
    record.writeUInt16BE((record.readUInt16BE(1) & 0xf000) | 0o600, 1);
    await tool.set(`i${ino}`, record);
    await until(
      "it is seen",
      async () => ((await stat(join(mount.path, "f"))).mode & 0o777) === 0o600,
      5000,
    );
  } finally {
    tool.disconnect();
  }
});
