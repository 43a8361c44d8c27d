import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, open, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import type { InodeInfo } from "../../src/volume/info.ts";
import type { ObjbenchResult } from "../../src/volume/objbench.ts";
import type { TreeSummary } from "../../src/volume/summary.ts";
import { makeFolder } from "../support/folder.ts";
import { MINIO_PASSWORD, MINIO_USER, startMinio } from "../support/minio.ts";
import {
  formatTestVolume,
  juicefs,
  mountOfficial,
  mountVolume,
  officialJuicefs,
  type TestVolumeOnDisk,
} from "../support/mount.ts";
import { until } from "../support/process.ts";

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** Commands that ask a mount, which keeps its sockets in the test's folder. */
function asker(volume: TestVolumeOnDisk): (...args: string[]) => Promise<string> {
  const env = { ...process.env, JUICEFS_RUN: join(volume.folder, "run") };
  return async (...args) => {
    const { stdout } = await run(process.execPath, [MAIN, ...args], { env, maxBuffer: 1 << 26 });
    return stdout;
  };
}

const SMALL = ["--block-size", "64K", "--trash-days", "0"];

test("compact: files of a tree end in few slices while they are open, and read the same", async () => {
  await using volume = await formatTestVolume({ format: SMALL });
  const ask = asker(volume);
  await using mount = await mountVolume(volume);
  await mkdir(join(mount.path, "dir/deep"), { recursive: true });
  const path = join(mount.path, "dir/deep/file");
  const mirror = randomBytes(300_000);
  await writeFile(path, mirror);
  await using file = await open(path, "r+");
  for (let at = 0; at < 250_000; at += 25_000) {
    const page = randomBytes(1000);
    page.copy(mirror, at);
    await file.write(page, 0, page.length, at);
    await file.sync();
  }
  const redis = new Redis(volume.metaUrl, { protocol: 2 });
  const [key = ""] = await redis.keys("c*_0");
  assert.ok((await redis.llen(key)) > 5);
  const done = JSON.parse(await ask("compact", join(mount.path, "dir"))) as { chunks: number };
  assert.equal(done.chunks, 1);
  assert.equal(await redis.llen(key), 1);
  redis.disconnect();
  const read = Buffer.alloc(mirror.length);
  await file.read(read, 0, read.length, 0);
  assert.ok(mirror.equals(read));
  const gc = await officialJuicefs("gc", volume.metaUrl);
  assert.match(gc.stdout + gc.stderr, /5 valid, .* 0 leaked/);
});

test("info: what a file is made of, where it is named, what a folder holds", async () => {
  await using volume = await formatTestVolume({ format: SMALL });
  const ask = asker(volume);
  await using mount = await mountVolume(volume);
  await mkdir(join(mount.path, "dir/deep"), { recursive: true });
  const data = randomBytes(100_000);
  await writeFile(join(mount.path, "dir/file"), data);
  data.fill("x", 50_000, 51_000);
  await using file = await open(join(mount.path, "dir/file"), "r+");
  await file.write(data, 50_000, 1000, 50_000);
  await file.sync();
  await writeFile(join(mount.path, "dir/deep/other"), "x");
  const info = JSON.parse(await ask("info", join(mount.path, "dir/file"))) as InodeInfo;
  assert.deepEqual(info.paths, ["/dir/file"]);
  assert.deepEqual([info.files, info.dirs, info.length, info.size], [1, 0, 100_000, 102_400]);
  const parts = await Promise.all(
    (info.objects ?? []).map(async ({ object, offset, length }) => {
      const stored = await readFile(join(volume.folder, "objects", object));
      return stored.subarray(offset, offset + length);
    }),
  );
  assert.equal(parts.length, 4);
  assert.ok(data.equals(Buffer.concat(parts)));
  const byNumber = await run(process.execPath, [MAIN, "info", "--inode", info.inode], {
    cwd: mount.path,
    env: { ...process.env, JUICEFS_RUN: join(volume.folder, "run") },
  });
  assert.deepEqual(JSON.parse(byNumber.stdout), info);
  const counts = async (...args: string[]): Promise<number[]> => {
    const found = JSON.parse(await ask("info", ...args, join(mount.path, "dir"))) as InodeInfo;
    return [found.files, found.dirs, found.length, found.size];
  };
  assert.deepEqual(await counts(), [1, 2, 100_000, 102_400 + 2 * 4096]);
  assert.deepEqual(await counts("-r"), [2, 2, 100_001, 102_400 + 3 * 4096]);
});

test("summary: folders with all below them, the largest first", async () => {
  await using volume = await formatTestVolume();
  const ask = asker(volume);
  await using mount = await mountVolume(volume);
  for (const [name, size] of [
    ["a/one", 10_000],
    ["b/deep/er/two", 50_000],
    ["b/three", 5000],
    ["four", 1],
  ] as const) {
    await mkdir(join(mount.path, name, ".."), { recursive: true });
    await writeFile(join(mount.path, name), Buffer.alloc(size));
  }
  const tree = JSON.parse(await ask("summary", "--depth", "1", mount.path)) as TreeSummary;
  assert.deepEqual([tree.files, tree.dirs, tree.length], [4, 5, 65_001]);
  assert.deepEqual(
    tree.children?.map(({ path, files, dirs, length }) => [path, files, dirs, length]),
    [
      ["b", 2, 3, 55_000],
      ["a", 1, 1, 10_000],
      ["four", 1, 0, 1],
    ],
  );
  const csv = await ask("summary", "--csv", "--depth", "3", "-e", "1", join(mount.path, "b"));
  assert.match(csv, /^PATH,SIZE,DIRS,FILES\n.*\/b\/,73728,3,2\n.*\/b\/deep\/,61440,2,1\n/);
  assert.doesNotMatch(csv, /three/);
});

test("rmr: a tree is gone for whoever looked at it, for good where that is asked for", async () => {
  await using volume = await formatTestVolume();
  const ask = asker(volume);
  await using mount = await mountVolume(volume);
  await using other = await mountVolume(volume);
  for (const top of ["trashed", "gone"]) {
    await mkdir(join(mount.path, top, "deep/er"), { recursive: true });
    for (let index = 0; index < 50; index++) {
      await writeFile(join(mount.path, top, "deep", `file ${index}`), "x");
    }
    await readdir(join(other.path, top, "deep"));
    await stat(join(mount.path, top, "deep", "file 7"));
    await ask("rmr", ...(top === "gone" ? ["--skip-trash"] : []), join(mount.path, top));
    for (const shown of [mount.path, other.path]) {
      for (const name of [join(top, "deep", "file 7"), top]) {
        await until(`${name} is gone`, () => !existsSync(join(shown, name)), 5000);
      }
    }
  }
  const [hour = ""] = await readdir(join(mount.path, ".trash"));
  const trashed = await readdir(join(mount.path, ".trash", hour));
  assert.equal(trashed.filter((name) => /-file \d+$/.test(name)).length, 50);
  await assert.rejects(ask("rmr", mount.path), /it is the mountpoint/);
  await assert.rejects(ask("rmr", join(mount.path, "none")), /no such path/);
});

test("a path on no mount, or on another client's, is refused in one line", async () => {
  await using volume = await formatTestVolume();
  const ask = asker(volume);
  await assert.rejects(ask("info", volume.folder), /it lies on no mounted volume/);
  await using official = await mountOfficial(volume);
  await assert.rejects(ask("info", official.path), /use the client that mounted it/);
});

test("objbench: what a storage promises is kept, and nothing is left behind", async () => {
  await using folder = await makeFolder();
  await using minio = await startMinio();
  const keys = ["--access-key", MINIO_USER, "--secret-key", MINIO_PASSWORD];
  const small = ["--big-object-size", "8M", "--small-objects", "20", "--block-size", "1M"];
  for (const args of [
    [folder.path],
    [minio.bucket("bench"), "--storage", "minio", ...keys],
    [minio.bucket("bench-s3"), "--storage", "s3", ...keys],
  ]) {
    const { stdout } = await juicefs("objbench", ...args, ...small);
    const { functional, performance } = JSON.parse(stdout) as ObjbenchResult;
    assert.deepEqual(new Set(Object.values(functional ?? {})), new Set(["pass"]));
    assert.deepEqual(
      performance.map(({ objects }) => objects),
      [8, 8, 20, 20, 28, 20, 28],
    );
  }
  const left = await readdir(folder.path, { recursive: true, withFileTypes: true });
  assert.ok(left.every((entry) => entry.isDirectory()));
});
