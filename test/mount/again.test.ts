import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { mountPoints } from "../../src/fuse/mount.ts";
import { askMount, type MountStatus } from "../../src/mount/control.ts";
import { writeDuring } from "../fault/write-during.ts";
import { copyProduct } from "../support/driver.ts";
import { makeFolder } from "../support/folder.ts";
import {
  askTestMount,
  formatTestVolume,
  mountVolume,
  type TestVolumeOnDisk,
} from "../support/mount.ts";
import { startProgram, until, type RunningProgram } from "../support/process.ts";

/** `juicefs mount` where a volume is mounted already. */

const run = promisify(execFile);
const PROJECT = fileURLToPath(new URL("../..", import.meta.url));

interface Again {
  readonly product?: string;
  readonly metaUrl: string;
  readonly path: string;
}

function environment(volume: TestVolumeOnDisk): NodeJS.ProcessEnv {
  return { ...process.env, JUICEFS_RUN: join(volume.folder, "run") };
}

/** Returns when it is mounted. Rejects with what it said when it fails. */
async function mountAgain(
  volume: TestVolumeOnDisk,
  { product = PROJECT, metaUrl, path }: Again,
): Promise<string> {
  const main = join(product, "src/main.ts");
  const args = [main, "mount", metaUrl, path, "-d", "--log", join(volume.folder, "log")];
  const { stdout, stderr } = await run(process.execPath, args, { env: environment(volume) });
  return stdout + stderr;
}

/** Unmounts what processes serve that no test started, and waits until they have ended. */
async function endMount(volume: TestVolumeOnDisk, path: string): Promise<void> {
  const where = { limitMs: 30_000, run: join(volume.folder, "run") };
  await askMount(path, { ask: "unmount", lazy: false, wait: true }, where);
  const ask = (): Promise<MountStatus | undefined> => askMount(path, { ask: "status" }, where);
  await until("the end of the mount", async () => (await ask()) === undefined);
}

test("another version takes a mount over while it is written to, again and again", async () => {
  await using folder = await makeFolder();
  await using volume = await formatTestVolume();
  await using mount = await mountVolume(volume);
  const { path } = mount;
  const where = { path, folder: volume.folder };
  const report = await writeDuring(join(path, "work"), async () => {
    for (const version of ["9.9.8", "9.9.9"]) {
      const before = await askTestMount(where);
      const product = await copyProduct(join(folder.path, version), version);
      const said = await mountAgain(volume, { product, metaUrl: volume.metaUrl, path });
      assert.match(said, /served by this version from now on/);
      const after = await askTestMount(where);
      assert.ok(after.version.endsWith(version), after.version);
      assert.equal(after.sid, before.sid);
      assert.notEqual(after.serverPid, before.serverPid);
      assert.notEqual(after.supervisorPid, before.supervisorPid);
    }
  });
  assert.deepEqual([report.wrong, report.refused], [[], 0]);
  assert.equal(mountPoints().filter(({ target }) => target === path).length, 1);
  await endMount(volume, path);
});

test("a version that cannot serve leaves the mount with the one before", async () => {
  await using folder = await makeFolder();
  await using volume = await formatTestVolume();
  await using mount = await mountVolume(volume);
  const where = { path: mount.path, folder: volume.folder };
  const before = await askTestMount(where);
  const broken = { "src/mount/serve.ts": "process.exit(3);\n" };
  const product = await copyProduct(join(folder.path, "broken"), "9.9.9", broken);
  await writeFile(join(mount.path, "f"), "content");
  const again = mountAgain(volume, { product, metaUrl: volume.metaUrl, path: mount.path });
  await assert.rejects(again, /exit status 3/);
  const { version, serverPid, supervisorPid } = await askTestMount(where);
  assert.deepEqual(
    { version, serverPid, supervisorPid },
    {
      ...{ version: before.version, serverPid: before.serverPid },
      supervisorPid: before.supervisorPid,
    },
  );
  assert.equal(await readFile(join(mount.path, "f"), "utf8"), "content");
});

test("a volume is not mounted where another one is", async () => {
  await using volume = await formatTestVolume();
  await using other = await formatTestVolume({ server: volume.server, database: 2 });
  await using mount = await mountVolume(volume);
  const before = await askTestMount({ path: mount.path, folder: volume.folder });
  const again = mountAgain(volume, { metaUrl: other.metaUrl, path: mount.path });
  await assert.rejects(again, /the volume "test-volume" is mounted there already; unmount it with/);
  const { serverPid } = await askTestMount({ path: mount.path, folder: volume.folder });
  assert.equal(serverPid, before.serverPid);
});

test("in the foreground it stays with the mount that it took over, and a signal unmounts", async () => {
  await using volume = await formatTestVolume();
  await using mount = await mountVolume(volume);
  const start = (): RunningProgram =>
    startProgram(
      process.execPath,
      [join(PROJECT, "src/main.ts"), "mount", volume.metaUrl, mount.path],
      { env: environment(volume) },
    );
  await using again = start();
  await until("the mount to be taken over", () => again.output().includes("from now on"));
  await writeFile(join(mount.path, "f"), "content");
  assert.equal(again.child.exitCode, null);
  await again.stop("SIGTERM");
  assert.equal(again.child.exitCode, 0, again.output());
  assert.deepEqual(
    mountPoints().filter(({ target }) => target === mount.path),
    [],
  );
  assert.deepEqual(await readdir(mount.path), []);
});
