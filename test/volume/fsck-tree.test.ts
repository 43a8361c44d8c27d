import assert from "node:assert/strict";
import { mkdir, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Redis } from "ioredis";
import type { GcResult } from "../../src/volume/gc.ts";
import type { TreeCheck } from "../../src/volume/fsck-tree.ts";
import { formatTestVolume, juicefs, mountVolume, officialJuicefs } from "../support/mount.ts";

async function fsck(metaUrl: string, ...args: string[]): Promise<TreeCheck & { code: number }> {
  const { code, stdout } = await juicefs("fsck", metaUrl, ...args).then(
    (done) => ({ code: 0, ...done }),
    (error: unknown) => error as { code: number; stdout: string },
  );
  return { code, ...(JSON.parse(stdout) as TreeCheck) };
}

const ALL = ["--path", "/", "-r", "--sync-dir-stat"];

test("wrong records of folders are told, set right when asked, and the official client agrees", async () => {
  await using volume = await formatTestVolume();
  const { metaUrl } = volume;
  {
    await using mount = await mountVolume(volume);
    await mkdir(join(mount.path, "a/b/c"), { recursive: true });
    await mkdir(join(mount.path, "a/d"));
    await writeFile(join(mount.path, "a/file"), Buffer.alloc(5000));
    await symlink("a/file", join(mount.path, "a/b/link"));
  }
  assert.deepEqual(await fsck(metaUrl, ...ALL), { code: 0, directories: 5, problems: [] });

  const redis = new Redis(metaUrl, { protocol: 2 });
  try {
    const [a = "", b = "", c = ""] = await inodes(redis, ["a", "b", "c"]);
    const record = (await redis.getBuffer(`i${a}`)) ?? Buffer.alloc(0);
    record.writeUInt32BE(7, 47);
    await redis.set(`i${a}`, record);
    await redis.del(`i${c}`);
    await redis.hset("dirUsedSpace", b, "1");
    await redis.hdel("dirUsedInodes", c);
    await redis.incrby("usedSpace", "12345");

    const shallow = await fsck(metaUrl, "--path", "/a");
    assert.deepEqual([shallow.code, shallow.directories], [1, 1]);
    assert.deepEqual(
      shallow.problems.map(({ path, problem }) => `${path}: ${problem}`),
      ["/a: it has 7 links instead of 4"],
    );
    const found = await fsck(metaUrl, ...ALL);
    assert.equal(found.code, 1);
    assert.deepEqual(found.problems.map(({ path }) => path).toSorted(), [
      "/",
      "/a",
      "/a/b",
      "/a/b/c",
    ]);
    assert.ok(found.problems.every(({ repaired }) => !repaired));
    const usage = found.problems.find(({ path }) => path === "/")?.problem;
    assert.match(usage ?? "", /counts \d+ bytes in 6 inodes instead of \d+ in 5/);

    const repaired = await fsck(metaUrl, ...ALL, "--repair", "--repair-dir-mode", "0700");
    assert.equal(repaired.code, 0);
    assert.ok(repaired.problems.every((one) => one.repaired));
    assert.equal(await redis.exists(`i${c}`), 1);
  } finally {
    redis.disconnect();
  }
  const again = await fsck(metaUrl, ...ALL, "--repair");
  assert.deepEqual(
    again.problems.filter((one) => !one.repaired),
    [],
  );
  assert.deepEqual(await fsck(metaUrl, ...ALL), { code: 0, directories: 5, problems: [] });
  const official = await officialJuicefs("fsck", metaUrl, "--path", "/", "-r", "--sync-dir-stat");
  // What it says about any test server and folder.
  const usual = /^.*(AOF is not enabled|Set storage tier: not supported).*$/gm;
  assert.doesNotMatch(official.stderr.replaceAll(usual, ""), /<(ERROR|FATAL|WARNING)>/);
  await using mount = await mountVolume(volume);
  assert.equal((await stat(join(mount.path, "a/b/c"))).mode & 0o777, 0o700);
  assert.equal((await stat(join(mount.path, "a"))).nlink, 4);
});

/** The inodes of folders that lie in one another. */
async function inodes(redis: Redis, path: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  let parent = "1";
  for (const name of path) {
    const entry = (await redis.hgetBuffer(`d${parent}`, name)) ?? Buffer.alloc(9);
    parent = entry.readBigUInt64BE(1).toString();
    found.push(parent);
  }
  return found;
}

test("gc deletes inodes without a name that are old; young ones, and those that are open, stay", async () => {
  await using volume = await formatTestVolume({ format: ["--trash-days", "0"] });
  const { metaUrl } = volume;
  const names = ["named", "lost", "young", "open", "folder"];
  {
    await using mount = await mountVolume(volume);
    for (const name of names.slice(0, 4)) await writeFile(join(mount.path, name), "x".repeat(9000));
    await mkdir(join(mount.path, "folder"));
  }
  const redis = new Redis(metaUrl, { protocol: 2 });
  try {
    const inode: Record<string, string> = {};
    for (const name of names) {
      const [ino = ""] = await inodes(redis, [name]);
      inode[name] = ino;
      const record = (await redis.getBuffer(`i${ino}`)) ?? Buffer.alloc(0);
      if (name !== "young") record.writeBigUInt64BE(1_700_000_000n, 35);
      await redis.set(`i${ino}`, record);
      if (name !== "named") await redis.hdel("d1", name);
    }
    await redis.zadd("allSessions", "99999999999", "77");
    await redis.sadd("session77", inode["open"] ?? "");
    const { stdout } = await juicefs("gc", metaUrl, "--delete");
    assert.equal((JSON.parse(stdout) as GcResult).orphans, 2);
    const left = await Promise.all(names.map((name) => redis.exists(`i${inode[name] ?? ""}`)));
    assert.deepEqual(left, [1, 0, 1, 1, 0]);
    assert.equal(await redis.exists(`c${inode["lost"] ?? ""}_0`), 0);
    assert.equal(await redis.get("totalInodes"), "3");
    assert.equal(await redis.get("usedSpace"), String(3 * 12_288));
  } finally {
    redis.disconnect();
  }
});
