import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, open, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { SessionStatus } from "../../src/meta/redis/session-status.ts";
import type { StagedBlocks } from "../../src/volume/open.ts";
import type { VolumeStatus } from "../../src/volume/status.ts";
import {
  askTestMount,
  formatTestVolume,
  juicefs,
  mountVolume,
  officialJuicefs,
  type TestVolumeOnDisk,
} from "../support/mount.ts";
import { until } from "../support/process.ts";

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

type Session = SessionStatus & { readonly Staged?: StagedBlocks };

async function ask<T>(volume: TestVolumeOnDisk, ...args: string[]): Promise<T> {
  const env = { ...process.env, JUICEFS_RUN: join(volume.folder, "run") };
  const { stdout } = await run(process.execPath, [MAIN, "status", volume.metaUrl, ...args], {
    env,
  });
  return JSON.parse(stdout) as T;
}

test("status --more counts what was removed as the official client does", async () => {
  await using volume = await formatTestVolume({ format: ["--block-size", "64K"] });
  await using mount = await mountVolume(volume);
  await mkdir(join(mount.path, "dir/deep"), { recursive: true });
  await writeFile(join(mount.path, "dir/one"), randomBytes(100_000));
  await writeFile(join(mount.path, "dir/deep/two"), randomBytes(1000));
  const path = join(mount.path, "crowded");
  await writeFile(path, randomBytes(200_000));
  await using file = await open(path, "r+");
  for (let at = 0; at < 10; at++) {
    await file.write(randomBytes(100), 0, 100, at * 7000);
    await file.sync();
  }
  await run(process.execPath, [MAIN, "compact", path], {
    env: { ...process.env, JUICEFS_RUN: join(volume.folder, "run") },
  });
  await rm(join(mount.path, "dir"), { recursive: true });
  const { Stat: ours } = await ask<VolumeStatus>(volume, "--more");
  const { stdout } = await officialJuicefs("status", "--more", volume.metaUrl);
  const { Stat: theirs } = JSON.parse(stdout) as VolumeStatus;
  assert.ok((ours.TrashSliceCount ?? 0) > 1);
  assert.deepEqual([ours.TrashFileCount, ours.TrashFileSize], [4, 101_000]);
  assert.deepEqual(
    Object.fromEntries(Object.entries(ours).filter(([, count]) => count !== 0)),
    theirs,
  );
});

test("status shows what a mount of this machine has not uploaded yet; umount says what stays, or uploads it", async () => {
  await using volume = await formatTestVolume();
  const later = [
    "--writeback",
    "--cache-dir",
    join(volume.folder, "cache"),
    "--upload-delay",
    "1h",
  ];
  const hour = new Date().getHours();
  const hours = ["--upload-hours", `${(hour + 12) % 24}-${(hour + 13) % 24}`];
  await using mount = await mountVolume(volume, [...later, ...hours]);
  await writeFile(join(mount.path, "file"), "staged");
  let session: Session | undefined;
  await until("staged blocks are shown", async () => {
    [session] = (await ask<{ Sessions: Session[] }>(volume)).Sessions;
    return session?.Staged?.blocks === 1;
  });
  assert.equal(session?.Staged?.bytes, 6);
  const alone = await ask<Session>(volume, "--session", String(session?.Sid));
  assert.deepEqual([alone.Staged, alone.Plocks], [session?.Staged, []]);
  const shown = await askTestMount({ path: mount.path, folder: volume.folder });
  assert.equal(shown.staged?.blocks, 1);

  const env = { ...process.env, JUICEFS_RUN: join(volume.folder, "run") };
  const umount = async (path: string, ...args: string[]): Promise<string> =>
    (await run(process.execPath, [MAIN, "umount", path, ...args], { env })).stderr;
  assert.match(await umount(mount.path), /"blocks":1,.*stay on this machine's disk/);
  await mount.unmount();
  await using again = await mountVolume(volume, [...later, ...hours]);
  assert.doesNotMatch(await umount(again.path, "--flush"), /stay/);
  await again.unmount();
  const { stdout } = await juicefs("fsck", volume.metaUrl);
  assert.match(stdout, /"missingCount": 0/);
});

test("a session that is not there is refused in one line", async () => {
  await using volume = await formatTestVolume();
  await assert.rejects(
    ask(volume, "-s", "77"),
    /Cannot show session 77: there is none of that number\n$/,
  );
  await assert.rejects(ask(volume, "-s", "x"), /Cannot use --session "x": expected a number\n$/);
});
