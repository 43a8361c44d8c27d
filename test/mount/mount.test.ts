import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { mountPoints } from "../../src/fuse/mount.ts";
import { formatTestVolume, juicefs, mountVolume } from "../support/mount.ts";
import { until } from "../support/process.ts";

test("what was written is there when the volume is mounted again", async () => {
  await using volume = await formatTestVolume();
  {
    await using first = await mountVolume(volume);
    await writeFile(join(first.path, "file"), "kept");
  }
  await using second = await mountVolume(volume);
  assert.equal(await readFile(join(second.path, "file"), "utf8"), "kept");
});

/** What a command that must fail says. */
async function refusal(...args: string[]): Promise<string> {
  const error = await juicefs(...args).then(
    () => assert.fail("it succeeded"),
    (failure: unknown) => failure as { code: number; stderr: string },
  );
  assert.equal(error.code, 1);
  return error.stderr;
}

test("what cannot be mounted is told in one line, and nothing is left behind", async () => {
  await using volume = await formatTestVolume();
  const { folder, metaUrl, server } = volume;
  const file = join(folder, "file");
  await writeFile(file, "");
  const cases: [string[], RegExp][] = [
    [["redis://127.0.0.1:1/1", join(folder, "a")], /nobody listens there/],
    [[server.url(99), join(folder, "a")], /it has no database of that number/],
    [[server.url(7), join(folder, "a")], /there is no volume; make one with juicefs format/],
    [["http://x/1", join(folder, "a")], /its scheme is not redis, rediss or unix/],
    [[metaUrl, file], /it is not a folder/],
    [[metaUrl, folder], /the folder is not empty/],
    [[metaUrl, "/", "-o", "nonempty"], /it would hide ".*", which the mount itself needs/],
    [[metaUrl, join(folder, "objects"), "-o", "nonempty"], /the volume's objects lie there in "/],
    [
      [metaUrl, join(folder, "a"), "--cache-dir", join(folder, "a", "cache")],
      /the cache folder ".*" would lie there; choose another --cache-dir/,
    ],
    [[metaUrl, join(folder, "a"), "--buffer-size", "x"], /Cannot use --buffer-size "x": expected/],
    [[metaUrl, join(folder, "a"), "--nothing"], /unknown option '--nothing'/],
    [
      [metaUrl, join(folder, "a"), "--subdir", "../none"],
      /Cannot use --subdir "..\/none": expected/,
    ],
    [
      [metaUrl, join(folder, "a"), "--subdir", "none", "--read-only"],
      /has no directory of that name/,
    ],
    [[metaUrl, join(folder, "a"), "--check-storage", "--bucket", file], /Cannot use file:/],
  ];
  for (const [args, expected] of cases) {
    const said = await refusal("mount", ...args);
    assert.match(said, expected);
    assert.equal(said.trimEnd().split("\n").length, 1, said);
  }
  const { stdout } = await juicefs("status", metaUrl);
  assert.deepEqual((JSON.parse(stdout) as { Sessions: unknown[] }).Sessions, []);
});

test("a mounted volume is not mounted over", async () => {
  await using volume = await formatTestVolume();
  await using mount = await mountVolume(volume);
  const said = await refusal("mount", volume.metaUrl, mount.path);
  assert.match(said, /a volume is mounted there already/);
  assert.deepEqual(await readdir(mount.path), []);
});

test("a subdirectory that is missing is made as JuiceFS makes it, by one of those who come at once", async () => {
  await using volume = await formatTestVolume();
  const mounting = ["new/./deep/", "/new/deep"].map((path) =>
    mountVolume(volume, ["--subdir", path]),
  );
  await using mounts = new AsyncDisposableStack();
  const [one, two] = await Promise.all(mounting);
  assert.ok(one !== undefined && two !== undefined);
  mounts.use(one);
  mounts.use(two);
  await writeFile(join(one.path, "file"), "shared");
  assert.equal(await readFile(join(two.path, "file"), "utf8"), "shared");
  await using whole = await mountVolume(volume);
  for (const path of ["new", "new/deep"]) {
    const { mode, uid, gid } = await stat(join(whole.path, path));
    assert.deepEqual({ mode, uid, gid }, { mode: 0o40777, uid: 0, gid: 0 });
  }
});

test("a subdirectory can be shown alone, and read-only", async () => {
  await using volume = await formatTestVolume();
  await using whole = await mountVolume(volume);
  await juicefs("version");
  const { mkdir } = await import("node:fs/promises");
  await mkdir(join(whole.path, "a/b"), { recursive: true });
  await writeFile(join(whole.path, "a/b/f"), "deep");
  await using part = await mountVolume(volume, ["--subdir", "/a/b", "--read-only"]);
  assert.equal(await readFile(join(part.path, "f"), "utf8"), "deep");
  assert.equal((await stat(part.path)).ino, 1);
  await assert.rejects(writeFile(join(part.path, "g"), ""), { code: "EROFS" });
});

test("the kernel reads ahead as far as one request reaches", async () => {
  await using volume = await formatTestVolume();
  await using mount = await mountVolume(volume);
  const device = mountPoints().findLast(({ target }) => target === mount.path)?.device;
  const setting = await readFile(`/sys/class/bdi/${device}/read_ahead_kb`, "utf8");
  assert.equal(setting.trim(), "1024");
});

test("the sources are kept compiled while a mount is served, for who follows a process that is killed", async () => {
  await using volume = await formatTestVolume();
  const compiled = join(volume.folder, "compiled");
  await using mount = await mountVolume(volume, [], { NODE_COMPILE_CACHE: compiled });
  // Nothing ended by itself yet, which is when Node writes them down.
  const count = async (): Promise<number> => (await readdir(compiled, { recursive: true })).length;
  await until("compiled sources", async () => (await count()) > 200);
  await mount.unmount();
});

test("each name of a directory is listed once, however many there are", async () => {
  await using volume = await formatTestVolume();
  await using mount = await mountVolume(volume);
  for (const count of [0, 1, 100, 1000]) {
    const folder = join(mount.path, `of${count}`);
    mkdirSync(folder);
    const names = Array.from({ length: count }, (_, number) => `name${number}`).toSorted();
    for (const name of names) writeFileSync(join(folder, name), "");
    assert.deepEqual((await readdir(folder)).toSorted(), names);
  }
});
