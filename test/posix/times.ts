import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { refused, type Rule, type Rules } from "./rules.ts";
import {
  AT_SYMLINK_NOFOLLOW,
  O_APPEND,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  PROT_READ,
  PROT_WRITE,
  MAP_SHARED,
  UTIME_NOW,
  UTIME_OMIT,
  type FileStatus,
  type TimeSpec,
} from "./support/calls.ts";
import { startProcess, type TestProcess } from "./support/process.ts";

/** Access, modification and status change: what moves which. Times are compared with each other, never with a clock. */

type Mark = "atime" | "mtime" | "ctime";

/** Far enough for the coarsest clock of a kernel's own file system. */
const TICK_SECONDS = 0.012;

/** What an operation marks on the file `file`, on the directory `dir` that holds it; every other time must stay. */
interface Marks {
  readonly file?: readonly Mark[];
  readonly dir?: readonly Mark[];
  readonly prepare?: (me: TestProcess, dir: string) => Promise<unknown>;
  readonly act: (me: TestProcess, file: string, dir: string) => Promise<unknown>;
}

const BOTH: readonly Mark[] = ["mtime", "ctime"];
const CONTENT = Buffer.from("content");

async function withFile(
  me: TestProcess,
  file: string,
  flags: number,
  act: (fd: number) => Promise<unknown>,
): Promise<void> {
  const fd = await me.open(file, flags);
  await act(fd);
  await me.close(fd);
}

const MARKS: Readonly<Record<string, Marks>> = {
  "a write": {
    file: BOTH,
    act: (me, file) => withFile(me, file, O_WRONLY, (fd) => me.write(fd, CONTENT)),
  },
  "a write at the end": {
    file: BOTH,
    act: (me, file) => withFile(me, file, O_WRONLY | O_APPEND, (fd) => me.write(fd, CONTENT)),
  },
  "a write of nothing": {
    act: (me, file) => withFile(me, file, O_WRONLY, (fd) => me.write(fd, Buffer.alloc(0))),
  },
  "opening and closing": { act: (me, file) => withFile(me, file, O_RDWR, async () => undefined) },
  "a truncation": { file: BOTH, act: (me, file) => me.truncate(file, 2) },
  "a longer file": { file: BOTH, act: (me, file) => me.truncate(file, 200) },
  "ftruncate to the same length": {
    file: BOTH,
    act: (me, file) => withFile(me, file, O_WRONLY, (fd) => me.ftruncate(fd, 7)),
  },
  O_TRUNC: {
    file: BOTH,
    act: (me, file) => withFile(me, file, O_WRONLY | O_TRUNC, async () => undefined),
  },
  "O_TRUNC of an empty file": {
    file: BOTH,
    prepare: (me, dir) => me.truncate(join(dir, "file"), 0),
    act: (me, file) => withFile(me, file, O_WRONLY | O_TRUNC, async () => undefined),
  },
  fallocate: {
    file: BOTH,
    act: (me, file) => withFile(me, file, O_WRONLY, (fd) => me.fallocate(fd, 0, 0, 100)),
  },
  "a hole punched": {
    file: BOTH,
    act: (me, file) => withFile(me, file, O_WRONLY, (fd) => me.fallocate(fd, 3, 0, 4)),
  },
  chmod: { file: ["ctime"], act: (me, file) => me.chmod(file, 0o600) },
  "chmod to the same mode": { file: ["ctime"], act: (me, file) => me.chmod(file, 0o644) },
  chown: { file: ["ctime"], act: (me, file) => me.chown(file, 1001, 1001) },
  "chown to the same owner": { file: ["ctime"], act: (me, file) => me.chown(file, 0, 0) },
  "a link made": {
    file: ["ctime"],
    dir: BOTH,
    act: (me, file, dir) => me.link(file, join(dir, "link")),
  },
  "a link removed": {
    file: ["ctime"],
    dir: BOTH,
    prepare: (me, dir) => me.link(join(dir, "file"), join(dir, "link")),
    act: (me, _file, dir) => me.unlink(join(dir, "link")),
  },
  "an extended attribute set": {
    file: ["ctime"],
    act: (me, file) => me.setxattr(file, "user.a", CONTENT),
  },
  "an extended attribute removed": {
    file: ["ctime"],
    prepare: (me, dir) => me.setxattr(join(dir, "file"), "user.a", CONTENT),
    act: (me, file) => me.removexattr(file, "user.a"),
  },
  "a read attribute": {
    prepare: (me, dir) => me.setxattr(join(dir, "file"), "user.a", CONTENT),
    act: (me, file) => me.getxattr(file, "user.a"),
  },
  fsync: { act: (me, file) => withFile(me, file, O_WRONLY, (fd) => me.fsync(fd)) },
  "a file made": {
    dir: BOTH,
    act: (me, _file, dir) =>
      withFile(me, join(dir, "new"), O_CREAT | O_WRONLY, async () => undefined),
  },
  "a directory made": { dir: BOTH, act: (me, _file, dir) => me.mkdir(join(dir, "new")) },
  "a symlink made": { dir: BOTH, act: (me, _file, dir) => me.symlink("nowhere", join(dir, "new")) },
  "a fifo made": { dir: BOTH, act: (me, _file, dir) => me.mkfifo(join(dir, "new")) },
  "a file removed": {
    dir: BOTH,
    prepare: (me, dir) =>
      withFile(me, join(dir, "other"), O_CREAT | O_WRONLY, async () => undefined),
    act: (me, _file, dir) => me.unlink(join(dir, "other")),
  },
  "a directory removed": {
    dir: BOTH,
    prepare: (me, dir) => me.mkdir(join(dir, "sub")),
    act: (me, _file, dir) => me.rmdir(join(dir, "sub")),
  },
  "a name changed": {
    dir: BOTH,
    prepare: (me, dir) =>
      withFile(me, join(dir, "other"), O_CREAT | O_WRONLY, async () => undefined),
    act: (me, _file, dir) => me.rename(join(dir, "other"), join(dir, "new")),
  },
  "names looked up": { act: (me, file) => me.stat(file) },
  "what fails": {
    async act(me, file, dir) {
      await refused("EEXIST", me.mkdir(file));
      await refused("ENOENT", me.unlink(join(dir, "none")));
      await refused("ENOTDIR", me.rmdir(file));
      await refused("EISDIR", me.unlink(dir));
      await refused("EINVAL", me.truncate(file, -1));
      await refused("EEXIST", me.link(file, file));
      await refused("EEXIST", me.symlink("target", file));
      await refused("ENODATA", me.removexattr(file, "user.none"));
    },
  },
  "a write through a shared mapping": {
    file: BOTH,
    act: (me, file) =>
      withFile(me, file, O_RDWR, async (fd) => {
        const map = await me.map_file(fd, 7, PROT_READ | PROT_WRITE, MAP_SHARED);
        await me.map_write(map, 0, Buffer.from("x"));
        await me.map_sync(map);
        await me.map_close(map);
      }),
  },
};

function marked(before: FileStatus, after: FileStatus): Mark[] {
  const marks: readonly Mark[] = ["atime", "mtime", "ctime"];
  for (const mark of marks) assert.ok(after[mark] >= before[mark], `${mark} goes back`);
  return marks.filter((mark) => after[mark] > before[mark]);
}

const marks: Rules = Object.fromEntries(
  Object.entries(MARKS).map(([what, { file = [], dir = [], prepare, act }]): [string, Rule] => [
    `${what} marks ${[...file.map((mark) => `the file's ${mark}`), ...dir.map((mark) => `the directory's ${mark}`)].join(", ") || "nothing"}`,
    async (folder) => {
      await using me = await startProcess();
      const path = join(folder, "file");
      await withFile(me, path, O_CREAT | O_WRONLY, (fd) => me.write(fd, CONTENT));
      await me.chmod(path, 0o644);
      await prepare?.(me, folder);
      const before = [await me.stat(path), await me.stat(folder)] as const;
      await me.sleep(TICK_SECONDS);
      await act(me, path, folder);
      const after = [await me.stat(path), await me.stat(folder)] as const;
      assert.deepEqual(marked(before[0], after[0]), file, "of the file");
      assert.deepEqual(marked(before[1], after[1]), dir, "of the directory");
    },
  ]),
);

const SETTABLE: readonly [string, TimeSpec][] = [
  ["the last nanosecond of a second", [1_700_000_000, 999_999_999]],
  ["the epoch", [0, 0]],
  ["one nanosecond", [0, 1]],
  ["before the epoch", [-1, 500_000_000]],
  ["1901", [-2_147_483_648, 0]],
  ["2038", [2_147_483_648, 3]],
  ["2106", [4_294_967_296, 5]],
  ["2200", [7_258_118_400, 123_456_789]],
];

const setting: Rules = {
  ...Object.fromEntries(
    SETTABLE.map(([what, spec]): [string, Rule] => [
      `times can be set to ${what}`,
      async (folder) => {
        await using me = await startProcess();
        const path = join(folder, "file");
        await writeFile(path, "content");
        const other: TimeSpec = [spec[0] + 1, spec[1]];
        await me.utimensat(path, spec, other);
        const { atime, mtime } = await me.stat(path);
        assert.equal(atime, nanoseconds(spec));
        assert.equal(mtime, nanoseconds(other));
      },
    ]),
  ),

  async "now and omit can be asked for each time apart"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    await writeFile(path, "");
    const then: TimeSpec = [1_500_000_000, 42];
    await me.utimensat(path, then, then);
    await me.utimensat(path, [0, UTIME_OMIT], [1_600_000_000, 43]);
    assert.deepEqual(await timesOf(me, path), [nanoseconds(then), 1_600_000_000_000_000_043n]);
    await me.utimensat(path, [1_550_000_000, 44], [0, UTIME_OMIT]);
    assert.deepEqual(await timesOf(me, path), [
      1_550_000_000_000_000_044n,
      1_600_000_000_000_000_043n,
    ]);
    await me.utimensat(path, [0, UTIME_NOW], [0, UTIME_OMIT]);
    const [atime, mtime] = await timesOf(me, path);
    assert.ok(atime > 1_700_000_000_000_000_000n);
    assert.equal(mtime, 1_600_000_000_000_000_043n);
  },

  async "setting times marks the change of status, omitting both does not"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    await writeFile(path, "");
    const before = await me.stat(path);
    await me.sleep(TICK_SECONDS);
    await me.utimensat(path, [0, UTIME_OMIT], [0, UTIME_OMIT]);
    assert.deepEqual(await me.stat(path), before);
    await me.utimensat(path, [1, 1], [1, 1]);
    assert.ok((await me.stat(path)).ctime > before.ctime);
  },

  async "a symlink has times of its own"(folder) {
    await using me = await startProcess();
    const [file, link] = [join(folder, "file"), join(folder, "link")];
    await writeFile(file, "");
    await me.symlink("file", link);
    await me.utimensat(link, [5, 6], [7, 8], AT_SYMLINK_NOFOLLOW);
    const own = await me.lstat(link);
    assert.deepEqual([own.atime, own.mtime], [5_000_000_006n, 7_000_000_008n]);
    assert.ok((await me.stat(file)).mtime > 1_700_000_000_000_000_000n);
    await me.utimensat(link, [5, 6], [9, 10]);
    assert.equal((await me.stat(file)).mtime, 9_000_000_010n);
  },

  async "nanoseconds beyond a second are EINVAL"(folder) {
    await using me = await startProcess();
    await refused("EINVAL", me.utimensat(folder, [0, 1_000_000_000], [0, 0]));
    await refused("EINVAL", me.utimensat(folder, [0, 0], [0, -1]));
  },

  async "times of a directory can be set"(folder) {
    await using me = await startProcess();
    await me.utimensat(folder, [11, 12], [13, 14]);
    const { atime, mtime } = await me.stat(folder);
    assert.deepEqual([atime, mtime], [11_000_000_012n, 13_000_000_014n]);
    await me.mkdir(join(folder, "new"));
    assert.ok((await me.stat(folder)).mtime > 1_700_000_000_000_000_000n);
  },

  async "times set on an open file stay when it is closed after a write"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    const fd = await me.open(path, O_CREAT | O_RDWR, 0o644);
    await me.write(fd, CONTENT);
    await me.utimensat(null, [21, 22], [23, 24], 0, fd);
    assert.deepEqual(await timesOf(me, path), [21_000_000_022n, 23_000_000_024n]);
    await me.close(fd);
    assert.deepEqual(await timesOf(me, path), [21_000_000_022n, 23_000_000_024n]);
  },
};

const order: Rules = {
  async "a new file has three times alike, its directory's are not before them"(folder) {
    await using me = await startProcess();
    for (let at = 0; at < 5; at++) {
      const path = join(folder, `file${at}`);
      await withFile(me, path, O_CREAT | O_WRONLY, async () => undefined);
      const { atime, mtime, ctime } = await me.stat(path);
      assert.deepEqual([atime, mtime], [ctime, ctime]);
      assert.ok((await me.stat(folder)).mtime >= mtime);
    }
  },

  async "what is written later is not older"(folder) {
    await using me = await startProcess();
    let before = 0n;
    for (let at = 0; at < 60; at++) {
      const path = join(folder, `file${at % 7}`);
      await withFile(me, path, O_CREAT | O_WRONLY, (fd) => me.write(fd, CONTENT));
      const { mtime, ctime } = await me.stat(path);
      assert.ok(mtime >= before, `write ${at} is older than the one before it`);
      assert.ok(ctime >= mtime);
      before = mtime;
    }
  },

  async "the times of a written file are the same before and after its close"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    const fd = await me.open(path, O_CREAT | O_RDWR, 0o644);
    for (const offset of [0, 100_000, 50, 70_000_000]) await me.pwrite(fd, CONTENT, offset);
    await me.sleep(TICK_SECONDS);
    const open = await me.fstat(fd);
    await me.fsync(fd);
    assert.deepEqual(await me.fstat(fd), open, "after fsync");
    await me.close(fd);
    assert.deepEqual(await me.stat(path), open, "after close");
  },

  async "a read does not change what a stat says of the data"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    await writeFile(path, "content");
    const before = await me.stat(path);
    await me.sleep(TICK_SECONDS);
    await withFile(me, path, O_RDONLY, (fd) => me.read(fd, 100));
    const after = await me.stat(path);
    assert.deepEqual([after.mtime, after.ctime], [before.mtime, before.ctime]);
  },
};

function nanoseconds([sec, nsec]: TimeSpec): bigint {
  return BigInt(sec) * 1_000_000_000n + BigInt(nsec);
}

async function timesOf(me: TestProcess, path: string): Promise<[bigint, bigint]> {
  const { atime, mtime } = await me.stat(path);
  return [atime, mtime];
}

export const times: Rules = { ...marks, ...setting, ...order };
