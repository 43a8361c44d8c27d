import assert from "node:assert/strict";
import { chmod, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { refused, type Rules } from "./rules.ts";
import {
  AT_FDCWD,
  AT_SYMLINK_FOLLOW,
  O_APPEND,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  S_IFMT,
  S_IFREG,
} from "./support/calls.ts";
import { ALICE, startProcess, type TestProcess } from "./support/process.ts";

/** Open files without a name: unlinked, and made so with O_TMPFILE. */

async function openUnlinked(me: TestProcess, folder: string, content = "content"): Promise<number> {
  const path = join(folder, "file");
  await writeFile(path, content);
  await me.chmod(path, 0o644);
  const fd = await me.open(path, O_RDWR);
  await me.unlink(path);
  return fd;
}

const unlinked: Rules = {
  async "an unlinked file can be read until its last close"(folder) {
    await using me = await startProcess();
    const fd = await openUnlinked(me, folder);
    assert.equal((await me.read(fd, 100)).toString(), "content");
    assert.deepEqual(await readdir(folder), []);
    await refused("ENOENT", me.open(join(folder, "file"), O_RDONLY));
  },

  async "an unlinked file has no links, and all the rest it had"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    await writeFile(path, "content");
    const fd = await me.open(path, O_RDONLY);
    const before = await me.fstat(fd);
    await me.unlink(path);
    const after = await me.fstat(fd);
    assert.deepEqual({ ...after, ctime: 0n }, { ...before, ctime: 0n, nlink: 0 });
    assert.ok(after.ctime > before.ctime);
  },

  async "an unlinked file can be written, made longer and shorter"(folder) {
    await using me = await startProcess();
    const fd = await openUnlinked(me, folder);
    await me.pwrite(fd, Buffer.from("more"), 7);
    assert.equal((await me.fstat(fd)).size, 11);
    await me.ftruncate(fd, 3);
    await me.ftruncate(fd, 100_000);
    assert.equal((await me.fstat(fd)).size, 100_000);
    await me.pwrite(fd, Buffer.alloc(200_000, 5), 50_000);
    await me.fsync(fd);
    assert.equal((await me.pread(fd, 3, 0)).toString(), "con");
    assert.deepEqual(await me.pread(fd, 10, 249_990), Buffer.alloc(10, 5));
    await me.fallocate(fd, 0, 0, 300_000);
    assert.equal((await me.fstat(fd)).size, 300_000);
  },

  async "mode, owner and times of an unlinked file can be changed"(folder) {
    await using me = await startProcess();
    const fd = await openUnlinked(me, folder);
    await me.fchmod(fd, 0o600);
    await me.fchown(fd, 1001, 1002);
    await me.utimensat(null, [5, 6], [7, 8], 0, fd);
    const { mode, uid, gid, atime, mtime, nlink } = await me.fstat(fd);
    assert.deepEqual([mode, uid, gid, nlink], [S_IFREG | 0o600, 1001, 1002, 0]);
    assert.deepEqual([atime, mtime], [5_000_000_006n, 7_000_000_008n]);
  },

  async "an unlinked file can be opened again through its descriptor"(folder) {
    await using me = await startProcess();
    const fd = await openUnlinked(me, folder);
    const second = await me.open(`/proc/self/fd/${fd}`, O_RDWR);
    await me.write(second, Buffer.from("CON"));
    await me.close(fd);
    assert.equal((await me.pread(second, 100, 0)).toString(), "CONtent");
    await me.close(await me.open(`/proc/self/fd/${second}`, O_WRONLY | O_TRUNC));
    assert.equal((await me.fstat(second)).size, 0);
    await me.truncate(`/proc/self/fd/${second}`, 10);
    assert.equal((await me.fstat(second)).size, 10);
  },

  async "an unlinked file is one for all who have it open"(folder) {
    await using me = await startProcess();
    await using other = await startProcess();
    const path = join(folder, "file");
    await writeFile(path, "content");
    const [mine, theirs] = [await me.open(path, O_RDWR), await other.open(path, O_RDWR)];
    await me.unlink(path);
    await writeFile(path, "another file");
    await me.pwrite(mine, Buffer.from("CON"), 0);
    assert.equal((await other.read(theirs, 100)).toString(), "CONtent");
    await me.close(mine);
    await other.write(theirs, Buffer.from("!"));
    assert.equal((await other.pread(theirs, 100, 0)).toString(), "CONtent!");
    assert.equal(await readFile(path, "utf8"), "another file");
  },

  async "the space of an unlinked file is free after its last close"(folder) {
    await using me = await startProcess();
    const fd = await openUnlinked(me, folder);
    await me.fill(fd, 64, 65_536);
    await me.fsync(fd);
    await me.close(fd);
    assert.deepEqual(await readdir(folder), []);
  },

  async "a file unlinked while data of it is not stored yet keeps it for its reader"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    const fd = await me.open(path, O_CREAT | O_RDWR, 0o644);
    await me.fill(fd, 20, 65_536);
    await me.unlink(path);
    await me.write(fd, Buffer.from("the end"));
    assert.equal((await me.fstat(fd)).size, 20 * 65_536 + 7);
    assert.equal((await me.pread(fd, 7, 20 * 65_536)).toString(), "the end");
    assert.equal((await me.pread(fd, 4, 10 * 65_536)).readUInt32LE(), 10);
  },

  async "two links, one unlinked while open: nothing is lost"(folder) {
    await using me = await startProcess();
    const [a, b] = [join(folder, "a"), join(folder, "b")];
    await writeFile(a, "content");
    await me.link(a, b);
    const fd = await me.open(a, O_WRONLY | O_APPEND);
    await me.unlink(a);
    assert.equal((await me.fstat(fd)).nlink, 1);
    await me.write(fd, Buffer.from("+"));
    await me.close(fd);
    assert.equal(await readFile(b, "utf8"), "content+");
    await me.unlink(b);
  },

  async "a name is made, opened, removed and made again, hundreds of times"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    const fds: number[] = [];
    for (let round = 0; round < 60; round++) {
      const fd = await me.open(path, O_CREAT | O_EXCL | O_RDWR, 0o644);
      await me.write(fd, Buffer.from(`round ${round}`));
      await me.unlink(path);
      fds.push(fd);
    }
    for (const [round, fd] of fds.entries()) {
      assert.equal((await me.pread(fd, 100, 0)).toString(), `round ${round}`);
    }
  },
};

const tmpfile: Rules = {
  async "O_TMPFILE makes a file without a name"(folder) {
    await using me = await startProcess();
    const fd = await me.open(folder, O_TMPFILE | O_RDWR, 0o640);
    const { nlink, mode, size } = await me.fstat(fd);
    assert.deepEqual([nlink, mode, size], [0, S_IFREG | 0o640, 0]);
    await me.write(fd, Buffer.from("content"));
    assert.equal((await me.pread(fd, 100, 0)).toString(), "content");
    assert.deepEqual(await readdir(folder), []);
    await me.close(fd);
  },

  async "it gets a name by linkat, with all that is in it"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    const fd = await me.open(folder, O_TMPFILE | O_RDWR, 0o644);
    await me.write(fd, Buffer.from("content"));
    await me.setxattr(fd, "user.name", Buffer.from("value"));
    await me.linkat(AT_FDCWD, `/proc/self/fd/${fd}`, path, AT_SYMLINK_FOLLOW);
    assert.equal((await me.fstat(fd)).nlink, 1);
    assert.equal(await readFile(path, "utf8"), "content");
    await me.write(fd, Buffer.from(" more"));
    await me.close(fd);
    assert.equal(await readFile(path, "utf8"), "content more");
    assert.equal((await me.getxattr(path, "user.name")).toString(), "value");
    assert.equal((await me.stat(path)).nlink, 1);
    await me.link(path, `${path}2`);
    assert.equal((await me.stat(path)).nlink, 2);
  },

  async "with O_EXCL it never gets a name"(folder) {
    await using me = await startProcess();
    const fd = await me.open(folder, O_TMPFILE | O_RDWR | O_EXCL, 0o600);
    const path = join(folder, "file");
    await refused("ENOENT", me.linkat(AT_FDCWD, `/proc/self/fd/${fd}`, path, AT_SYMLINK_FOLLOW));
  },

  async "it does not take a name that is there"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    await writeFile(path, "old");
    const fd = await me.open(folder, O_TMPFILE | O_RDWR, 0o600);
    await refused("EEXIST", me.linkat(AT_FDCWD, `/proc/self/fd/${fd}`, path, AT_SYMLINK_FOLLOW));
    assert.equal(await readFile(path, "utf8"), "old");
  },

  async "it belongs to its maker, the umask counts, its directory does not change"(folder) {
    await chmod(folder, 0o777);
    await using me = await startProcess({ ...ALICE, umask: 0o027 });
    const before = await me.stat(folder);
    const fd = await me.open(folder, O_TMPFILE | O_RDWR, 0o666);
    const { uid, gid, mode } = await me.fstat(fd);
    assert.deepEqual([uid, gid, mode & 0o7777], [ALICE.uid, ALICE.gid, 0o640]);
    assert.deepEqual(await me.stat(folder), before);
  },

  async "it needs a directory that may be written, and a mode to write"(folder) {
    await using me = await startProcess(ALICE);
    await refused("EACCES", me.open(folder, O_TMPFILE | O_RDWR, 0o600));
    await refused("EINVAL", me.open(folder, O_TMPFILE | O_RDONLY, 0o600));
    await using root = await startProcess();
    await root.close(await root.open(join(folder, "file"), O_CREAT | O_WRONLY, 0o644));
    await refused("ENOTDIR", root.open(join(folder, "file"), O_TMPFILE | O_RDWR, 0o600));
  },

  async "mktemp of a program with it: written, linked, opened by another"(folder) {
    await using me = await startProcess();
    await using other = await startProcess();
    const fd = await me.open(folder, O_TMPFILE | O_WRONLY, 0o644);
    await me.fill(fd, 8, 65_536);
    await me.linkat(AT_FDCWD, `/proc/self/fd/${fd}`, join(folder, "made"), AT_SYMLINK_FOLLOW);
    const theirs = await other.open(join(folder, "made"), O_RDONLY);
    assert.equal((await other.pread(theirs, 4, 7 * 65_536)).readUInt32LE(), 7);
    assert.equal((await other.fstat(theirs)).mode & S_IFMT, S_IFREG);
  },
};

export const nameless: Rules = { ...unlinked, ...tmpfile };
