import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Redis } from "ioredis";
import { formatTestVolume, juicefs, mountVolume, officialJuicefs } from "../support/mount.ts";

interface Failed {
  readonly code: number;
  readonly stderr: string;
}

/** What a command says that must fail, in one line. */
async function refusal(...args: string[]): Promise<string> {
  const failed = await juicefs(...args).then(
    () => assert.fail(`${args[0]} succeeded`),
    (error: unknown) => error as Failed,
  );
  assert.equal(failed.code, 1);
  assert.equal(failed.stderr.trimEnd().split("\n").length, 1, failed.stderr);
  return failed.stderr;
}

test("settings are shown without secrets and changed one by one; the official client reads them", async () => {
  await using volume = await formatTestVolume({ format: ["--secret-key", "hush"] });
  const { metaUrl } = volume;
  const shown = await juicefs("config", metaUrl);
  assert.match(shown.stdout, /"SecretKey": "removed"/);
  assert.doesNotMatch(shown.stdout, /hush/);
  const { stdout } = await juicefs(
    ...["config", metaUrl, "--yes", "--trash-days", "7", "--capacity", "10", "--inodes", "1000"],
    ...["--upload-limit", "80", "--download-limit", "1G", "--secret-key", "other"],
    ...["--storage-class", "GLACIER", "--tag", "a=b", "--min-client-version", "1.2.0"],
  );
  assert.deepEqual(stdout.trimEnd().split("\n").toSorted(), [
    "Capacity: 0 -> 10737418240",
    "DownloadLimit: 0 -> 1000",
    "Inodes: 0 -> 1000",
    "MinClientVersion: 1.1.0-A -> 1.2.0",
    "SecretKey: removed -> removed",
    'Tiers: {"0":{"ID":0,"StorageClass":"","Tag":""}} -> {"0":{"ID":0,"StorageClass":"GLACIER","Tag":"a=b"}}',
    "TrashDays: 1 -> 7",
    "UploadLimit: 0 -> 80",
  ]);
  const official = await officialJuicefs("config", metaUrl);
  for (const line of ['"TrashDays": 7', '"UploadLimit": 80', '"Tag": "a=b"', '"Inodes": 1000']) {
    assert.ok(official.stdout.includes(line), line);
  }
  assert.equal((await juicefs("config", metaUrl, "--trash-days", "7")).stdout, "");
});

test("what cannot be changed is refused in one line, and everything stays", async () => {
  await using volume = await formatTestVolume();
  const { metaUrl, folder } = volume;
  await writeFile(join(folder, "file"), "");
  await juicefs("config", metaUrl, "--enable-acl", "--min-client-version", "1.3.0");
  const before = (await juicefs("config", metaUrl)).stdout;
  const cases: [string[], RegExp][] = [
    [["--enable-acl=false"], /Cannot turn ACLs off/],
    [["--min-client-version", "1.2.0"], /it is 1\.3\.0 and can only be raised/],
    [["--min-client-version", "new"], /Cannot read the version "new"/],
    [["--bucket", join(folder, "file")], /Cannot use file:.*ENOTDIR|Cannot use file:.*EEXIST/],
    [["--trash-days", "soon"], /Cannot use --trash-days "soon"/],
    [["--block-size", "1M"], /unknown option '--block-size'/],
  ];
  for (const [args, expected] of cases) {
    assert.match(await refusal("config", metaUrl, ...args), expected);
  }
  assert.equal((await juicefs("config", metaUrl)).stdout, before);
  {
    await using mount = await mountVolume(volume);
    const said = await refusal("config", metaUrl, "--max-client-version", "1.3.5");
    assert.ok(said.includes(`${mount.path} (1.4.2+ts.`), said);
  }
  await juicefs("config", metaUrl, "--max-client-version", "1.3.5", "--force");
});

test("a volume is destroyed when its UUID is named and nobody uses it", async () => {
  await using volume = await formatTestVolume();
  const { metaUrl, folder } = volume;
  const { UUID } = JSON.parse((await juicefs("config", metaUrl)).stdout) as { UUID: string };
  assert.match(await refusal("destroy", metaUrl, UUID), /use --yes/);
  {
    await using mount = await mountVolume(volume);
    await writeFile(join(mount.path, "file"), "x".repeat(100_000));
    const said = await refusal("destroy", metaUrl, UUID, "--yes");
    assert.ok(said.includes(`it is mounted on`) && said.includes(mount.path), said);
  }
  const other = "00000000-0000-4000-8000-000000000000";
  assert.match(await refusal("destroy", metaUrl, other, "--yes"), /its UUID is .*, not 00000000/);
  await juicefs("destroy", metaUrl, UUID, "--yes");
  const left = await readdir(join(folder, "objects"), { recursive: true, withFileTypes: true });
  assert.deepEqual(
    left.filter((entry) => entry.isFile()).map(({ name }) => name),
    [],
  );
  const redis = new Redis(metaUrl, { protocol: 2 });
  assert.equal(await redis.dbsize(), 0);
  redis.disconnect();
  assert.match(await refusal("status", metaUrl), /there is no volume/);
  await juicefs("format", metaUrl, "test-volume", "--bucket", join(folder, "objects"));
});
