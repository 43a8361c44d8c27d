import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { open, readdir, readFile, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { createStorage } from "../../src/object/create.ts";
import { makeFolder } from "../support/folder.ts";
import { MINIO_PASSWORD, MINIO_USER, startMinio } from "../support/minio.ts";
import {
  formatTestVolume,
  juicefs,
  mountVolume,
  officialJuicefs,
  type TestMount,
} from "../support/mount.ts";
import { until } from "../support/process.ts";

/** Settings that are changed while the volume is mounted: mounts go on with the new ones. */

const DATA = randomBytes(300_000);
const OTHER_PASSWORD = "another-secret";

const storageChanged = (mount: TestMount, times: number): Promise<void> =>
  until("the mount uses the storage as it was changed", () => {
    const told = mount.supervisor.output().matchAll(/using the storage as/g);
    return [...told].length >= times;
  });

async function written(path: string): Promise<void> {
  const file = await open(path, "w");
  await file.write(DATA);
  await file.sync();
  await file.close();
}

async function objectsIn(bucket: string, password = MINIO_PASSWORD): Promise<string[]> {
  const storage = await createStorage({
    ...{ Name: "test-volume", Storage: "minio", Bucket: bucket },
    ...{ AccessKey: MINIO_USER, SecretKey: password, SessionToken: "" },
  });
  const keys: string[] = [];
  for await (const { key } of storage.list("chunks/")) keys.push(key);
  await storage.close();
  return keys;
}

const MOUNTS: readonly (readonly [string, string, readonly string[]])[] = [
  ["s3, worker threads", "s3", ["--io-threads", "2"]],
  ["minio, one thread", "minio", ["--io-threads", "0"]],
  ["minio, write-back", "minio", ["--io-threads", "1", "--writeback"]],
];

for (const [name, driver, args] of MOUNTS) {
  test(`keys and bucket are changed under a mount: ${name}`, async () => {
    await using disk = await makeFolder();
    await using first = await startMinio({ folder: disk.path });
    await using volume = await formatTestVolume({
      format: [
        ...["--storage", driver, "--bucket", first.bucket("one"), "--trash-days", "0"],
        ...["--access-key", MINIO_USER, "--secret-key", MINIO_PASSWORD],
      ],
    });
    const cache = ["--cache-dir", join(volume.folder, "cache")];
    await using mount = await mountVolume(volume, [...args, ...cache]);
    await written(join(mount.path, "before"));
    await until("it is uploaded", async () => (await objectsIn(first.bucket("one"))).length === 1);

    await first.stop();
    await using second = await startMinio({
      ...{ port: first.port, folder: disk.path, password: OTHER_PASSWORD },
    });
    // Refused until the new keys are known, then tried again with them.
    const waiting = written(join(mount.path, "after"));
    await juicefs("config", volume.metaUrl, "--secret-key", OTHER_PASSWORD);
    await waiting;
    await storageChanged(mount, 1);
    const [one, two] = [second.bucket("one"), second.bucket("two")];
    await until(
      "both are uploaded",
      async () => (await objectsIn(one, OTHER_PASSWORD)).length === 2,
    );

    // The official client changes it: nothing is announced.
    await officialJuicefs("config", volume.metaUrl, "--bucket", two, "--yes");
    await storageChanged(mount, 2);
    await written(join(mount.path, "elsewhere"));
    await until(
      "the third one is in the other bucket",
      async () => (await objectsIn(two, OTHER_PASSWORD)).length === 1,
    );
    assert.equal((await objectsIn(one, OTHER_PASSWORD)).length, 2);
    await mount.unmount();

    await using again = await mountVolume(volume, args);
    assert.deepEqual(await readFile(join(again.path, "elsewhere")), DATA);
  });
}

test("a storage that cannot be used is told, and the old one stays", async () => {
  await using volume = await formatTestVolume();
  await using mount = await mountVolume(volume);
  await written(join(mount.path, "before"));
  await officialJuicefs("config", volume.metaUrl, "--storage", "webdav", "--force", "--yes");
  await until("it is told", () =>
    mount.supervisor.output().includes("a storage that cannot be used"),
  );
  await written(join(mount.path, "after"));
  assert.deepEqual(await readFile(join(mount.path, "before")), DATA);
});

test("capacity, trash and bandwidth are changed under a mount", async () => {
  await using volume = await formatTestVolume();
  await using mount = await mountVolume(volume);
  const { path } = mount;
  await writeFile(join(path, "kept"), DATA);
  await rm(join(path, "kept"));
  const inTrash = async (): Promise<number> =>
    (await readdir(join(path, ".trash"), { recursive: true })).filter((one) =>
      one.endsWith("-kept"),
    ).length;
  assert.equal(await inTrash(), 1);

  const config = ["--trash-days", "0", "--capacity", "1", "--upload-limit", "8"];
  await juicefs("config", volume.metaUrl, ...config);
  await until("the capacity", async () => {
    const { blocks, bsize } = await statfs(path);
    return blocks * bsize === 2 ** 30;
  });
  await writeFile(join(path, "kept"), DATA);
  await rm(join(path, "kept"));
  assert.equal(await inTrash(), 1);

  // 1.2 MB at 0.85 MB a second; what a tenth of a second allows goes at once.
  const begun = performance.now();
  const file = await open(join(path, "slow"), "w");
  await file.write(Buffer.concat([DATA, DATA, DATA, DATA]));
  await file.sync();
  await file.close();
  assert.ok(performance.now() - begun > 1000, "no limit holds the upload back");
});
