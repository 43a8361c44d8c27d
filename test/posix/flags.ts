import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { refused, type Rule, type Rules } from "./rules.ts";
import {
  FS_APPEND_FL,
  FS_IMMUTABLE_FL,
  O_APPEND,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  UTIME_NOW,
} from "./support/calls.ts";
import { ALICE, startProcess, type TestProcess } from "./support/process.ts";

/** Immutable and append-only files, as chattr(1) makes them. */

async function withFlags(
  flags: number,
  folder: string,
  act: (me: TestProcess, file: string, dir: string) => Promise<void>,
): Promise<void> {
  await using me = await startProcess();
  const [file, dir] = [join(folder, "file"), join(folder, "dir")];
  await writeFile(file, "content");
  await me.mkdir(dir);
  await writeFile(join(dir, "inside"), "content");
  await writeFile(join(folder, "other"), "");
  await me.setxattr(file, "user.name", Buffer.from("value"));
  const fds = [await me.open(file, O_RDONLY), await me.open(dir, O_RDONLY)];
  try {
    for (const fd of fds) await me.set_flags(fd, (await me.get_flags(fd)) | flags);
    await act(me, file, dir);
  } finally {
    for (const fd of fds) await me.set_flags(fd, (await me.get_flags(fd)) & ~flags);
  }
  // With the flags gone everything goes again.
  await me.unlink(file);
  await me.run(["rm", "-r", dir]);
}

type Act = (me: TestProcess, file: string, dir: string) => Promise<unknown>;

/** Refused for immutable and append-only alike. */
const FOR_BOTH: Readonly<Record<string, Act>> = {
  "opened for writing": (me, file) => me.open(file, O_WRONLY),
  "opened for reading and writing": (me, file) => me.open(file, O_RDWR),
  "opened with O_TRUNC": (me, file) => me.open(file, O_WRONLY | O_TRUNC),
  truncated: (me, file) => me.truncate(file, 1),
  unlinked: (me, file) => me.unlink(file),
  renamed: (me, file) => me.rename(file, `${file}2`),
  "renamed over": (me, file) => me.rename(`${file.slice(0, -4)}other`, file),
  linked: (me, file) => me.link(file, `${file}2`),
  "given another mode": (me, file) => me.chmod(file, 0o600),
  "given away": (me, file) => me.chown(file, 1001, 1001),
  "given times": (me, file) => me.utimensat(file, [1, 1], [1, 1]),
  "given an attribute": (me, file) => me.setxattr(file, "user.other", Buffer.of(1)),
  "relieved of an attribute": (me, file) => me.removexattr(file, "user.name"),
  exchanged: (me, file) => me.renameat2(file, `${file.slice(0, -4)}other`, 2),
};

const FOR_BOTH_DIRECTORIES: Readonly<Record<string, Act>> = {
  "loses no name": (me, _file, dir) => me.unlink(join(dir, "inside")),
  "gives no name away": (me, file, dir) => me.rename(join(dir, "inside"), `${file}3`),
  "is not removed": (me, _file, dir) => me.rmdir(dir),
  "is not renamed": (me, _file, dir) => me.rename(dir, `${dir}2`),
  "keeps its mode": (me, _file, dir) => me.chmod(dir, 0o700),
};

function eachOf(what: string, flags: number): Rules {
  return Object.fromEntries([
    ...Object.entries(FOR_BOTH).map(([how, act]): [string, Rule] => [
      `${what} file is not ${how}`,
      (folder) =>
        withFlags(flags, folder, async (me, file, dir) => {
          await refused("EPERM", act(me, file, dir));
          assert.equal(await readFile(file, "utf8"), "content");
        }),
    ]),
    ...Object.entries(FOR_BOTH_DIRECTORIES).map(([how, act]): [string, Rule] => [
      `${what} directory ${how}`,
      (folder) =>
        withFlags(flags, folder, async (me, file, dir) => {
          await refused("EPERM", act(me, file, dir));
        }),
    ]),
  ]);
}

export const flags: Rules = {
  ...eachOf("an immutable", FS_IMMUTABLE_FL),
  ...eachOf("an append-only", FS_APPEND_FL),

  "an immutable file can be read, and its times asked for": (folder) =>
    withFlags(FS_IMMUTABLE_FL, folder, async (me, file) => {
      assert.equal(await readFile(file, "utf8"), "content");
      assert.equal((await me.getxattr(file, "user.name")).toString(), "value");
      await refused("EPERM", me.open(file, O_WRONLY | O_APPEND));
      await refused("EPERM", me.utimensat(file, [0, UTIME_NOW], [0, UTIME_NOW]));
    }),

  "an immutable directory takes no names": (folder) =>
    withFlags(FS_IMMUTABLE_FL, folder, async (me, file, dir) => {
      await refused("EPERM", me.open(join(dir, "new"), O_CREAT | O_WRONLY, 0o644));
      await refused("EPERM", me.mkdir(join(dir, "new")));
      await refused("EPERM", me.symlink("target", join(dir, "new")));
      await refused("EPERM", me.link(`${file.slice(0, -4)}other`, join(dir, "new")));
      await refused("EPERM", me.rename(`${file.slice(0, -4)}other`, join(dir, "new")));
      await writeFile(join(dir, "inside"), "what lies in it is not immutable");
    }),

  "an append-only file takes appends": (folder) =>
    withFlags(FS_APPEND_FL, folder, async (me, file) => {
      const fd = await me.open(file, O_WRONLY | O_APPEND);
      await me.write(fd, Buffer.from("+"));
      await refused("EPERM", me.ftruncate(fd, 0));
      await me.close(fd);
      assert.equal(await readFile(file, "utf8"), "content+");
      await me.utimensat(file, [0, UTIME_NOW], [0, UTIME_NOW]);
    }),

  "an append-only directory takes names": (folder) =>
    withFlags(FS_APPEND_FL, folder, async (me, file, dir) => {
      await me.close(await me.open(join(dir, "new"), O_CREAT | O_WRONLY, 0o644));
      await me.mkdir(join(dir, "sub"));
      await me.rename(`${file.slice(0, -4)}other`, join(dir, "moved"));
      await refused("EPERM", me.unlink(join(dir, "new")));
      await refused("EPERM", me.rename(join(dir, "new"), join(dir, "newer")));
    }),

  "an append-only directory has no name replaced": (folder) =>
    withFlags(FS_APPEND_FL, folder, async (me, file, dir) => {
      const other = `${file.slice(0, -4)}other`;
      await refused("EPERM", me.rename(other, join(dir, "inside")));
      await refused("EPERM", me.renameat2(other, join(dir, "inside"), 2));
      assert.equal(await readFile(join(dir, "inside"), "utf8"), "content");
    }),

  "a file made immutable is not written through a descriptor opened before": async (folder) => {
    await using me = await startProcess();
    const path = join(folder, "file");
    await writeFile(path, "content");
    const fd = await me.open(path, O_RDWR);
    await me.set_flags(fd, FS_IMMUTABLE_FL);
    await refused("EPERM", me.write(fd, Buffer.from("x")));
    await refused("EPERM", me.fallocate(fd, 0, 0, 1000));
    await me.set_flags(fd, 0);
    await me.write(fd, Buffer.from("x"));
  },

  async "chattr and lsattr show what is set"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    await writeFile(path, "");
    assert.equal((await me.run(["chattr", "+i", path])).status, 0);
    assert.match((await me.run(["lsattr", path])).stdout.slice(0, 22), /^[^a]*i[^a]*$/);
    assert.equal((await me.run(["chattr", "-i", "+a", path])).status, 0);
    assert.match((await me.run(["lsattr", path])).stdout.slice(0, 22), /^[^i]*a[^i]*$/);
    const fd = await me.open(path, O_RDONLY);
    assert.equal((await me.get_flags(fd)) & (FS_IMMUTABLE_FL | FS_APPEND_FL), FS_APPEND_FL);
    assert.equal((await me.get_xflags(fd)) & 0x18, 0x10);
    assert.equal((await me.run(["chattr", "-a", path])).status, 0);
  },

  async "setting a flag marks the change of status at once"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    await writeFile(path, "");
    const fd = await me.open(path, O_RDONLY);
    const before = await me.stat(path);
    await setTimeout(20);
    await me.set_flags(fd, FS_APPEND_FL);
    const { ctime, mtime } = await me.stat(path);
    await me.set_flags(fd, 0);
    assert.notEqual(ctime, before.ctime);
    assert.equal(mtime, before.mtime);
  },

  async "only root sets the flags, everybody reads them"(folder) {
    const path = join(folder, "file");
    await using root = await startProcess();
    await root.close(await root.open(path, O_CREAT | O_WRONLY, 0o644));
    await root.chown(path, ALICE.uid, ALICE.gid);
    await using alice = await startProcess(ALICE);
    const fd = await alice.open(path, O_RDONLY);
    const now = await alice.get_flags(fd);
    await refused("EPERM", alice.set_flags(fd, now | FS_IMMUTABLE_FL));
    await refused("EPERM", alice.set_flags(fd, now | FS_APPEND_FL));
    assert.equal(await alice.get_flags(fd), now);
  },

  async "an unknown ioctl is ENOTTY"(folder) {
    await using me = await startProcess();
    await writeFile(join(folder, "file"), "");
    await refused("ENOTTY", me.ioctl(await me.open(join(folder, "file"), O_RDONLY), 0x80047aff, 4));
    await refused("ENOTTY", me.ioctl(await me.open(folder, O_RDONLY), 0x80047aff, 4));
  },
};
