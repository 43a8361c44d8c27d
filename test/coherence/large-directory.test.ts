import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, stat, unlink, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { DIRECTORY_MAX } from "../../src/vfs/name-records.ts";
import { formatTestVolume, mountVolume, type TestVolumeOnDisk } from "../support/mount.ts";
import { settled } from "../support/pair.ts";
import { until } from "../support/process.ts";
import { countRoundTrips } from "../support/round-trips.ts";

/** Directories of more names than a mount keeps, or than come in one batch. */

const run = promisify(execFile);
const MORE = 20_000;
const BATCH = 4096;
const FIRST_INO = 1_000_000n;
const SEEKER = fileURLToPath(new URL("seek-directory.py", import.meta.url));

const nameOf = (number: number): string => `file ${number}`;

/** Makes it as a client would, past every client: one by one would take minutes. */
async function fill(volume: TestVolumeOnDisk, count: number): Promise<void> {
  {
    await using mount = await mountVolume(volume);
    await mkdir(join(mount.path, "d"));
    await writeFile(join(mount.path, "d", nameOf(0)), "");
  }
  const redis = new Redis(volume.metaUrl, { protocol: 2 });
  const entry = await redis.hgetBuffer("d1", "d");
  const parent = entry?.readBigUInt64BE(1) ?? 0n;
  const one = await redis.hgetBuffer(`d${parent}`, nameOf(0));
  const record = await redis.getBuffer(`i${one?.readBigUInt64BE(1)}`);
  assert.ok(record !== null && one !== null);
  for (let number = 1; number < count; number += 1000) {
    const pipeline = redis.pipeline();
    for (let at = number; at < Math.min(number + 1000, count); at++) {
      const ino = FIRST_INO + BigInt(at);
      const value = Buffer.from(one);
      value.writeBigUInt64BE(ino, 1);
      pipeline.hset(`d${parent}`, nameOf(at), value).set(`i${ino}`, record);
    }
    await pipeline.exec();
  }
  await redis.set("nextinode", String(FIRST_INO + BigInt(2 * count)));
  redis.disconnect();
}

test("ls -l of a directory larger than what is kept asks for batches, not for names", async () => {
  const count = DIRECTORY_MAX + MORE;
  await using volume = await formatTestVolume();
  await fill(volume, count);
  const quiet = ["--heartbeat", "3600", "--no-bgjob"];
  await using one = await mountVolume(volume, quiet);
  await using two = await mountVolume(volume, quiet);
  await settled(volume, [one.path, two.path]);
  const folder = join(one.path, "d");
  await using trips = await countRoundTrips(volume.server);
  const list = async (): Promise<void> => {
    const { stdout } = await run("ls", ["-l", folder], { maxBuffer: 1 << 28 });
    assert.equal(stdout.trimEnd().split("\n").length, count + 1);
  };
  const begun = performance.now();
  const asked = await trips.during(list);
  const seconds = (performance.now() - begun) / 1000;
  process.stdout.write(`# ${asked.length} round trips\n`);
  const batches = asked.filter((command) => / 1 d\d+ \d+ \d+ [01]$/.test(command));
  assert.ok(
    batches.length > 1 && batches.length <= 1 + count / BATCH + seconds,
    `${batches.length} batches`,
  );
  // One that a reader comes for a second later is asked for anew: on a busy machine some are.
  const again = batches.length - new Set(batches).size;
  assert.ok(again <= seconds, `${again} of them asked for again in ${seconds.toFixed(1)} s`);
  // Some more: a name may have been looked at too late on a slow machine.
  assert.ok(asked.length < (4 * count) / BATCH + MORE / 4, `${asked.length} round trips`);

  // What the other mount changes is seen, whether it is kept or not.
  for (const number of [1, count >> 1, count - 1, count - 2, count - 3]) {
    const theirs = join(two.path, "d", nameOf(number));
    await chmod(theirs, 0o600);
    const mode = async (): Promise<number> =>
      (await stat(join(folder, nameOf(number)))).mode & 0o777;
    await until("the mode is seen", async () => (await mode()) === 0o600);
    await unlink(theirs);
    await until("the removal is seen", () => !existsSync(join(folder, nameOf(number))));
  }
  // What changes here is seen at once.
  await run("ls", ["-l", folder], { maxBuffer: 1 << 28 });
  for (const number of [2, (count >> 1) + 1, count - 4]) {
    const ours = join(folder, nameOf(number));
    await chmod(ours, 0o640);
    assert.equal((await stat(ours)).mode & 0o777, 0o640);
    await unlink(ours);
    assert.equal(existsSync(ours), false);
  }
});

test("who goes back in a listing finds every name that stayed, whatever was made or removed meanwhile", async () => {
  // The server's table grows with more than 16384 names.
  const count = 16_300;
  await using volume = await formatTestVolume();
  await fill(volume, count);
  for (const made of [0, 20, 300]) {
    // A mount that knows nothing of the directory yet.
    await using mount = await mountVolume(volume, ["--no-bgjob"]);
    const { stdout } = await run("python3", [SEEKER, join(mount.path, "d"), String(made)]);
    const { listed, ...wrong } = JSON.parse(stdout) as Record<string, number>;
    assert.ok((listed ?? 0) > count - 10, stdout);
    assert.deepEqual(wrong, { missing: 0, twice: 0, before: 0 }, `with ${made} new names`);
  }
});
