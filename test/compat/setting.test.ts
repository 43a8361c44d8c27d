import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { VERSION } from "../../src/base/version.ts";
import { parseFormat, printFormat } from "../../src/meta/format.ts";
import { CHUNK_SIZE, ROOT_INO, TYPE_DIRECTORY, TYPE_FILE } from "../../src/meta/limits.ts";
import { loadFormat, saveFormat } from "../../src/meta/redis/format-store.ts";
import type { Ino, SliceCommit } from "../../src/meta/types.ts";
import { officialBinary } from "../support/binaries.ts";
import { makeFolder } from "../support/folder.ts";
import { makeVolume, ROOT_CALLER } from "../support/meta.ts";
import { startRedis } from "../support/redis.ts";

const run = promisify(execFile);

/** What the official client prints, both streams; it fails where the client does. */
async function official(...args: string[]): Promise<string> {
  const { stdout, stderr } = await run(
    officialBinary(),
    [...args, "--no-agent"].filter((arg) => arg !== ""),
    {
      env: { ...process.env, JFS_GC_SKIPPEDTIME: "0" },
    },
  );
  // What it says about any test server and folder.
  const usual = /^.*(AOF is not enabled|Set storage tier: not supported).*$/gm;
  return (stdout + stderr).replaceAll(usual, "");
}

test("settings made and changed by the official client come back byte for byte", async () => {
  await using server = await startRedis();
  await using folder = await makeFolder();
  const client = new Redis(server.url(2), { protocol: 2 });
  try {
    await official(
      ...["format", server.url(2), "compat", "--bucket", `${folder.path}/%d`, "--compress", "lz4"],
      ...["--secret-key", "a<b>&c", "--access-key", "x", "--shards", "3", "--trash-days", "7"],
    );
    const check = async (): Promise<string> => {
      const text = (await client.get("setting")) ?? "";
      assert.equal(printFormat(parseFormat(text)), text);
      return text;
    };
    await check();
    assert.equal((await loadFormat(client))?.SecretKey, "a<b>&c");
    await official(
      ...[
        "config",
        server.url(2),
        "--yes",
        "--capacity",
        "10",
        "--inodes",
        "1000",
        "--upload-limit",
        "8",
      ],
    );
    await official("config", server.url(2), "--yes", "--enable-acl", "--max-client-version", "9.9");
    await check();
    const format = await loadFormat(client);
    assert.equal(format?.Capacity, 10 * 2 ** 30);
    assert.equal(format.EnableACL, true);
    await saveFormat(client, { ...format, TrashDays: 3 });
    assert.match(await official("config", server.url(2)), /"TrashDays": 3/);
    assert.match(await official("config", server.url(2), "--yes", "--trash-days", "4"), /3 -> 4/);
    await check();
  } finally {
    client.disconnect();
  }
});

test("the official status shows our session, its fsck and gc find nothing wrong with what we wrote", async () => {
  await using folder = await makeFolder();
  await using volume = await makeVolume({ bucket: folder.path, trashDays: 1 });
  const { meta } = await volume.open({ mountpoint: "/mnt/ours" });
  const file = { type: TYPE_FILE, mode: 0o644, umask: 0o22 };
  const make = async (parent: Ino, name: string, node = file): Promise<Ino> =>
    (await meta.create(ROOT_CALLER, parent, Buffer.from(name), node)).ino;
  const block = async (id: bigint, size: number): Promise<void> => {
    const path = join(folder.path, "volume", "chunks", "0", "0", `${id}_0_${size}`);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, Buffer.alloc(size, Number(id)));
  };
  const record = (ino: Ino, id: bigint, size: number, off = 0): SliceCommit => ({
    ...{ ino, chunkIndex: 0, mtime: { sec: 1_700_000_000, nsec: 1 } },
    slice: { pos: 0, id, size, off, len: size - off },
  });

  const folderIno = await make(ROOT_INO, "dir", { ...file, type: TYPE_DIRECTORY, mode: 0o777 });
  const names = ["a", "b", "c", "log"];
  const [a = 0n, b = 0n, c = 0n, log = 0n] = await Promise.all(
    names.map((name) => make(folderIno, name)),
  );
  const ids = await Promise.all([meta.newSliceId(), meta.newSliceId(), meta.newSliceId()]);
  for (const id of ids) await block(id, 5000);
  const [packed, own, appended] = ids;
  await meta.commitSlices([
    record(a, packed, 5000),
    record(b, packed, 5000, 1000),
    record(c, own, 5000),
  ]);
  await meta.truncate(ROOT_CALLER, log, CHUNK_SIZE - 100);
  await meta.commitSlices([{ ...record(log, appended, 5000), append: true }]);
  await meta.fallocate(c, 3, { offset: 100, length: 200 });
  await meta.truncate(ROOT_CALLER, a, 100);
  await meta.truncate(ROOT_CALLER, a, 9000);
  await meta.copyRange({ ino: c, offset: 0 }, { ino: a, offset: 2 * CHUNK_SIZE - 10 }, 4000);
  await meta.link(ROOT_CALLER, b, ROOT_INO, Buffer.from("hard"));
  await meta.unlink(ROOT_CALLER, folderIno, Buffer.from("c"));
  await meta.flock(a, 5n, "write");
  await meta.setlk(a, 5n, { type: "write", start: 0n, end: 9n, pid: 1 });

  const status = await official("status", volume.url);
  assert.match(status, new RegExp(`"Version": "${VERSION.replaceAll(/[+.]/g, "\\$&")}"`));
  assert.match(status, /"MountPoint": "\/mnt\/ours"/);
  const session = await official("status", volume.url, "--session", meta.sid.toString());
  assert.match(session, /"Flocks": \[/);
  assert.match(session, /"Plocks": \[/);
  const fsck = await official("fsck", volume.url, "--path", "/", "--recursive", "--sync-dir-stat");
  assert.doesNotMatch(fsck, /<(ERROR|FATAL|WARNING)>/);
  const all = await official("fsck", volume.url);
  assert.doesNotMatch(all, /<(ERROR|FATAL|WARNING)>/);
  const gc = await official("gc", volume.url);
  assert.doesNotMatch(gc, /<(ERROR|FATAL|WARNING)>/);
  assert.match(
    gc,
    /scanned 3 objects, 3 valid, 0 pending delete \(0 bytes\), 0 compacted \(0 bytes\), 0 leaked \(0 bytes\)/,
  );
});
