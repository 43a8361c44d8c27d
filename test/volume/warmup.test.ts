import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { WarmupSum } from "../../src/volume/warmup.ts";
import { formatTestVolume, mountVolume, type TestVolumeOnDisk } from "../support/mount.ts";
import { until } from "../support/process.ts";

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const FORMAT = ["--block-size", "64K"];

/** `juicefs warmup`, asked of mounts that keep their sockets in the test's folder. */
async function warmup(volume: TestVolumeOnDisk, ...args: string[]): Promise<string> {
  const env = { ...process.env, JUICEFS_RUN: join(volume.folder, "run") };
  return (await run(process.execPath, [MAIN, "warmup", ...args], { env })).stdout;
}

async function blocksIn(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile() && /^\d+_\d+_\d+$/.test(entry.name)).length;
}

test("warmup brings blocks to the disk, counts and removes them; what is warm is read without the store", async () => {
  await using volume = await formatTestVolume({ format: FORMAT });
  const cache = join(volume.folder, "cache");
  const data = randomBytes(300_000);
  await using mount = await mountVolume(volume, ["--cache-dir", cache]);
  const dir = join(mount.path, "dir");
  await mkdir(join(dir, "deep"), { recursive: true });
  await writeFile(join(dir, "file"), data);
  await writeFile(join(dir, "deep/other"), data.subarray(0, 1000));
  const counts = async (...args: string[]): Promise<number[]> => {
    const sum = JSON.parse(await warmup(volume, ...args)) as WarmupSum;
    assert.equal(sum.failed, 0);
    return [sum.files, sum.blocks, sum.bytes, sum.cachedBlocks, sum.cachedBytes];
  };
  assert.deepEqual(await counts("--evict", dir), [2, 6, 301_000, 0, 0]);
  assert.equal(await blocksIn(cache), 0);
  assert.deepEqual(await counts("--check", dir), [2, 6, 301_000, 0, 0]);
  assert.deepEqual(await counts(join(dir, "file")), [1, 5, 300_000, 5, 300_000]);
  assert.equal(await blocksIn(cache), 5);
  assert.deepEqual(await counts("--check", dir), [2, 6, 301_000, 5, 300_000]);

  const list = join(volume.folder, "list");
  await symlink("deep/other", join(dir, "link"));
  await writeFile(list, `${join(dir, "link")}\n\n`);
  assert.deepEqual(await counts("--file", list), [1, 1, 1000, 1, 1000]);
  await mount.unmount();

  await rm(join(volume.folder, "objects/test-volume/chunks"), { recursive: true });
  await using again = await mountVolume(volume, ["--cache-dir", cache]);
  assert.ok(data.equals(await readFile(join(again.path, "dir/file"))));
  assert.ok(data.subarray(0, 1000).equals(await readFile(join(again.path, "dir/deep/other"))));
});

test("warmup in the background goes on without whoever asked", async () => {
  await using volume = await formatTestVolume({ format: FORMAT });
  const cache = join(volume.folder, "cache");
  await using mount = await mountVolume(volume, ["--cache-dir", cache]);
  await writeFile(join(mount.path, "file"), randomBytes(500_000));
  await warmup(volume, "--evict", join(mount.path, "file"));
  assert.equal(await warmup(volume, "--background", join(mount.path, "file")), "");
  await until("all blocks are here", async () => (await blocksIn(cache)) === 8);
  await until("the mount tells the end", () => mount.supervisor.output().includes("is done"));
});

test("staged blocks stay when their file is evicted; a block that is lost is told", async () => {
  await using volume = await formatTestVolume({ format: FORMAT });
  const cache = join(volume.folder, "cache");
  const writeback = ["--cache-dir", cache, "--writeback", "--upload-delay", "1h"];
  await using mount = await mountVolume(volume, writeback);
  const data = randomBytes(200_000);
  await writeFile(join(mount.path, "file"), data);
  const sum = JSON.parse(await warmup(volume, "--evict", join(mount.path, "file"))) as WarmupSum;
  assert.deepEqual([sum.blocks, sum.cachedBlocks], [4, 4]);
  await mount.unmount();

  await using again = await mountVolume(volume, ["--cache-dir", cache]);
  assert.ok(data.equals(await readFile(join(again.path, "file"))));
  await warmup(volume, "--evict", again.path);
  await rm(join(volume.folder, "objects/test-volume/chunks"), { recursive: true });
  await assert.rejects(warmup(volume, again.path), /4 blocks could not be brought here/);
});

test("warmup refuses what it cannot do in one line", async () => {
  await using volume = await formatTestVolume({ format: FORMAT });
  await using mount = await mountVolume(volume, ["--cache-size", "0", "--storage", "file"]);
  const refused = (args: string[], expected: RegExp): Promise<void> =>
    assert.rejects(warmup(volume, ...args), (error: Error & { stderr: string }) => {
      assert.match(error.stderr, expected);
      assert.match(error.stderr, /^juicefs: [^\n]+\n$/);
      return true;
    });
  await refused([], /give a path/);
  await refused(["--evict", "--check", mount.path], /choose one/);
  await refused([join(mount.path, "none")], /no such path/);
  await refused([volume.folder], /lies on no mounted volume/);
  await refused(["--file", join(volume.folder, "none")], /ENOENT/);
  await refused(["-p", "0", mount.path], /--threads "0"/);
});
