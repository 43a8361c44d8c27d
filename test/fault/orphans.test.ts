import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { open, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { holdsUnstored } from "../../src/mount/shared-folder.ts";
import {
  askTestMount,
  formatTestVolume,
  juicefs,
  mountVolume,
  officialJuicefs,
  type TestMount,
  type TestVolumeOnDisk,
} from "../support/mount.ts";
import { until } from "../support/process.ts";

/** Both processes of a mount die at one moment: what they had acknowledged is stored by the next mount. */

/** Kills both at once and takes the dead mount away, as the driver does. */
async function killBoth(volume: TestVolumeOnDisk, mount: TestMount): Promise<void> {
  const { supervisorPid, serverPid } = await askTestMount({ ...volume, path: mount.path });
  // No program for it: starting one closes copies of open files, which stores what was written to them.
  for (const pid of [supervisorPid, serverPid]) process.kill(pid, "SIGKILL");
  await until("the end of the mount", () => mount.supervisor.child.signalCode !== null);
  execFileSync("umount", ["-l", mount.path]);
}

async function runFolders(volume: TestVolumeOnDisk): Promise<string[]> {
  const run = join(volume.folder, "run");
  return (await readdir(run)).map((name) => join(run, name));
}

/** Writes what is not stored when the processes die. @returns what must be there afterwards */
async function leaveUnstored(volume: TestVolumeOnDisk, name: string): Promise<string> {
  await using mount = await mountVolume(volume);
  const file = await open(join(mount.path, name), "w");
  let text = "";
  for (let number = 0; number < 2000; number++) {
    const line = `${name} ${number}\n`;
    await file.write(line);
    text += line;
  }
  await killBoth(volume, mount);
  await assert.rejects(file.close(), { code: "ENOTCONN" });
  const left = await runFolders(volume);
  assert.ok(
    left.some((home) => holdsUnstored(join(home, "shared"))),
    "nothing was left to be stored",
  );
  return text;
}

async function sessions(volume: TestVolumeOnDisk): Promise<number> {
  const { stdout } = await juicefs("status", volume.metaUrl);
  return (JSON.parse(stdout) as { Sessions: unknown[] | null }).Sessions?.length ?? 0;
}

test("what two processes that died at once had acknowledged is there after the next mount", async () => {
  await using volume = await formatTestVolume();
  const first = await leaveUnstored(volume, "first");
  const second = await leaveUnstored(volume, "second");
  {
    await using mount = await mountVolume(volume);
    assert.equal(await readFile(join(mount.path, "first"), "utf8"), first);
    assert.equal(await readFile(join(mount.path, "second"), "utf8"), second);
    assert.equal((await runFolders(volume)).length, 1, "the folders of the dead are gone");
    assert.equal(await sessions(volume), 1, "their sessions too");
  }
  assert.deepEqual(await runFolders(volume), []);
  await officialJuicefs("fsck", volume.metaUrl);
  const { stderr } = await officialJuicefs("gc", volume.metaUrl);
  assert.match(stderr, / 2 valid, .* 0 leaked /);
});

test("a mount that cannot write leaves it to the next one that can", async () => {
  await using volume = await formatTestVolume();
  const text = await leaveUnstored(volume, "kept");
  {
    await using reader = await mountVolume(volume, ["--read-only"]);
    assert.equal(await readFile(join(reader.path, "kept"), "utf8"), "");
  }
  await using mount = await mountVolume(volume);
  assert.equal(await readFile(join(mount.path, "kept"), "utf8"), text);
});

test("mounts that live are left alone by others that start", async () => {
  await using volume = await formatTestVolume();
  await using one = await mountVolume(volume);
  await using file = await open(join(one.path, "file"), "w");
  await file.write("not stored yet");
  await using two = await mountVolume(volume);
  assert.equal((await runFolders(volume)).length, 2);
  await file.sync();
  await until("it is seen", async () => {
    return (await readFile(join(two.path, "file"), "utf8")) === "not stored yet";
  });
});
