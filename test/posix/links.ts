import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { refused, type Rules } from "./rules.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_FOLLOW,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  S_IFCHR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFSOCK,
} from "./support/calls.ts";
import { ALICE, startProcess } from "./support/process.ts";

/** Hard links and symbolic links. */

const hard: Rules = {
  async "a hard link is the same file under one more name"(folder) {
    await using me = await startProcess();
    const [a, b] = [join(folder, "a"), join(folder, "b")];
    await writeFile(a, "content");
    await me.link(a, b);
    const [first, second] = [await me.stat(a), await me.stat(b)];
    assert.deepEqual(first, second);
    assert.equal(first.nlink, 2);
    await me.chmod(b, 0o640);
    await writeFile(b, "changed");
    assert.equal(await readFile(a, "utf8"), "changed");
    assert.equal((await me.stat(a)).mode & 0o7777, 0o640);
  },

  async "links are counted as they come and go"(folder) {
    await using me = await startProcess();
    const first = join(folder, "0");
    await writeFile(first, "");
    for (let count = 1; count <= 5; count++) {
      await me.link(first, join(folder, `${count}`));
      assert.equal((await me.stat(first)).nlink, count + 1);
    }
    for (let count = 5; count >= 1; count--) {
      await me.unlink(join(folder, `${count}`));
      assert.equal((await me.stat(first)).nlink, count);
    }
  },

  async "a file lives until its last name is gone, whichever goes first"(folder) {
    await using me = await startProcess();
    const [a, b, c] = [join(folder, "a"), join(folder, "b"), join(folder, "c")];
    await writeFile(a, "content");
    await me.link(a, b);
    await me.unlink(a);
    await refused("ENOENT", me.stat(a));
    await me.link(b, c);
    await me.unlink(b);
    assert.equal(await readFile(c, "utf8"), "content");
    assert.equal((await me.stat(c)).nlink, 1);
  },

  async "a directory gets no hard link"(folder) {
    await using me = await startProcess();
    await me.mkdir(join(folder, "dir"));
    await refused("EPERM", me.link(join(folder, "dir"), join(folder, "link")));
  },

  async "a link over something is EEXIST"(folder) {
    await using me = await startProcess();
    const from = join(folder, "from");
    await writeFile(from, "");
    await me.mkdir(join(folder, "dir"));
    await me.symlink("nowhere", join(folder, "dangling"));
    for (const name of ["from", "dir", "dangling"]) {
      await refused("EEXIST", me.link(from, join(folder, name)));
    }
    assert.equal((await me.stat(from)).nlink, 1);
  },

  async "a hard link can be made of every other type"(folder) {
    await using me = await startProcess();
    await me.mknod(join(folder, "fifo"), S_IFIFO | 0o600);
    await me.mknod(join(folder, "null"), S_IFCHR | 0o600, 0x0103);
    await me.mknod(join(folder, "socket"), S_IFSOCK | 0o600);
    await me.symlink("nowhere", join(folder, "symlink"));
    for (const name of ["fifo", "null", "socket", "symlink"]) {
      await me.link(join(folder, name), join(folder, `${name}2`));
      const [one, two] = [
        await me.lstat(join(folder, name)),
        await me.lstat(join(folder, `${name}2`)),
      ];
      assert.deepEqual(one, two);
      assert.equal(one.nlink, 2);
      await me.unlink(join(folder, name));
      assert.equal((await me.lstat(join(folder, `${name}2`))).nlink, 1);
    }
    assert.equal(await me.readlink(join(folder, "symlink2")), "nowhere");
  },

  async "a link to a symlink is one to the symlink, unless it is to be followed"(folder) {
    await using me = await startProcess();
    const file = join(folder, "file");
    await writeFile(file, "");
    await me.symlink("file", join(folder, "symlink"));
    await me.link(join(folder, "symlink"), join(folder, "not"));
    await me.linkat(AT_FDCWD, join(folder, "symlink"), join(folder, "followed"), AT_SYMLINK_FOLLOW);
    assert.equal((await me.lstat(join(folder, "not"))).mode & S_IFMT, S_IFLNK);
    assert.equal((await me.lstat(join(folder, "followed"))).ino, (await me.stat(file)).ino);
  },

  async "an open file can be linked by its descriptor while it has a name"(folder) {
    await using me = await startProcess();
    const file = join(folder, "file");
    await writeFile(file, "content");
    const fd = await me.open(file, O_RDONLY);
    await me.linkat(fd, "", join(folder, "link"), AT_EMPTY_PATH);
    await me.unlink(file);
    assert.equal(await readFile(join(folder, "link"), "utf8"), "content");
  },

  async "a file without a name gets none any more"(folder) {
    await using me = await startProcess();
    const file = join(folder, "file");
    await writeFile(file, "content");
    const fd = await me.open(file, O_RDONLY);
    await me.unlink(file);
    const link = join(folder, "link");
    await refused("ENOENT", me.linkat(fd, "", link, AT_EMPTY_PATH));
    await refused("ENOENT", me.linkat(AT_FDCWD, `/proc/self/fd/${fd}`, link, AT_SYMLINK_FOLLOW));
  },

  async "a link needs a directory that may be written"(folder) {
    await using root = await startProcess();
    await using alice = await startProcess(ALICE);
    const file = join(folder, "file");
    await root.chmod(folder, 0o777);
    await alice.close(await alice.open(file, O_CREAT | O_WRONLY, 0o644));
    await root.mkdir(join(folder, "dir"), 0o755);
    await refused("EACCES", alice.link(file, join(folder, "dir/link")));
    await alice.link(file, join(folder, "link"));
  },

  async "a link into a missing directory is ENOENT, into a file ENOTDIR"(folder) {
    await using me = await startProcess();
    await writeFile(join(folder, "file"), "");
    await refused("ENOENT", me.link(join(folder, "file"), join(folder, "none/link")));
    await refused("ENOTDIR", me.link(join(folder, "file"), join(folder, "file/link")));
  },

  async "two hundred links to one file"(folder) {
    await using me = await startProcess();
    const file = join(folder, "file");
    await writeFile(file, "");
    for (let at = 0; at < 200; at++) await me.link(file, join(folder, `link${at}`));
    assert.equal((await me.stat(file)).nlink, 201);
    for (let at = 0; at < 200; at++) await me.unlink(join(folder, `link${at}`));
    assert.equal((await me.stat(file)).nlink, 1);
  },

  async "links across directories survive the removal of one directory"(folder) {
    await using me = await startProcess();
    await me.mkdir(join(folder, "a"));
    await me.mkdir(join(folder, "b"));
    await writeFile(join(folder, "a/file"), "content");
    await me.link(join(folder, "a/file"), join(folder, "b/file"));
    await me.unlink(join(folder, "a/file"));
    await me.rmdir(join(folder, "a"));
    const left = await me.stat(join(folder, "b/file"));
    assert.equal(left.nlink, 1);
    assert.equal(await readFile(join(folder, "b/file"), "utf8"), "content");
  },
};

const symbolic: Rules = {
  async "a symlink holds its target as it was given"(folder) {
    await using me = await startProcess();
    const targets = ["a", "/", "..", "a//b/./c", " ", "x".repeat(4095), "\u00e9/\u{1f994}"];
    for (const [at, target] of targets.entries()) {
      const path = join(folder, `link${at}`);
      await me.symlink(target, path);
      assert.equal(await me.readlink(path), target);
      assert.equal((await me.lstat(path)).size, Buffer.byteLength(target));
    }
  },

  async "a symlink's target may be bytes that are no text"(folder) {
    await using me = await startProcess();
    const target = Buffer.from([0xff, 0x2f, 0xfe, 0x0a]);
    await me.symlink(target, join(folder, "link"));
    assert.deepEqual(await me.readlink(Buffer.from(join(folder, "link"))), target);
  },

  async "a symlink to 4096 bytes is ENAMETOOLONG, to nothing ENOENT"(folder) {
    await using me = await startProcess();
    await refused("ENAMETOOLONG", me.symlink("x".repeat(4096), join(folder, "link")));
    await refused("ENOENT", me.symlink("", join(folder, "link")));
  },

  async "a symlink has mode 0777, one link, and belongs to its maker"(folder) {
    await using root = await startProcess();
    await root.chmod(folder, 0o777);
    await using alice = await startProcess({ ...ALICE, umask: 0o077 });
    await alice.symlink("target", join(folder, "link"));
    const { mode, nlink, uid, gid } = await root.lstat(join(folder, "link"));
    assert.deepEqual(
      { mode, nlink, uid, gid },
      { mode: S_IFLNK | 0o777, nlink: 1, uid: 1001, gid: 1001 },
    );
  },

  async "a symlink over something is EEXIST"(folder) {
    await using me = await startProcess();
    await writeFile(join(folder, "file"), "");
    await me.symlink("nowhere", join(folder, "dangling"));
    await refused("EEXIST", me.symlink("target", join(folder, "file")));
    await refused("EEXIST", me.symlink("target", join(folder, "dangling")));
    await refused("EEXIST", me.symlink("target", folder));
  },

  async "only a symlink can be read as one"(folder) {
    await using me = await startProcess();
    await writeFile(join(folder, "file"), "");
    await me.mkfifo(join(folder, "fifo"));
    await refused("EINVAL", me.readlink(join(folder, "file")));
    await refused("EINVAL", me.readlink(join(folder, "fifo")));
    await refused("EINVAL", me.readlink(folder));
  },

  async "a chain of 40 symlinks is followed, one of 41 is ELOOP"(folder) {
    await using me = await startProcess();
    await writeFile(join(folder, "link0"), "content");
    for (let at = 1; at <= 41; at++) await me.symlink(`link${at - 1}`, join(folder, `link${at}`));
    assert.equal(await readFile(join(folder, "link40"), "utf8"), "content");
    await refused("ELOOP", me.stat(join(folder, "link41")));
  },

  async "a symlink is followed where it lies, not where the process stands"(folder) {
    await using me = await startProcess();
    await me.mkdir(join(folder, "dir"));
    await writeFile(join(folder, "dir/file"), "in dir");
    await writeFile(join(folder, "file"), "above");
    await me.symlink("file", join(folder, "dir/link"));
    await me.chdir(folder);
    const fd = await me.open("dir/link", O_RDONLY);
    assert.equal((await me.read(fd, 10)).toString(), "in dir");
  },

  async "opening through a dangling symlink makes its target"(folder) {
    await using me = await startProcess();
    await me.symlink("target", join(folder, "link"));
    await refused("ENOENT", me.open(join(folder, "link"), O_WRONLY));
    await me.close(await me.open(join(folder, "link"), O_CREAT | O_WRONLY, 0o644));
    assert.equal((await me.lstat(join(folder, "target"))).size, 0);
  },

  async "O_EXCL does not follow a symlink, O_NOFOLLOW refuses one"(folder) {
    await using me = await startProcess();
    await writeFile(join(folder, "file"), "");
    await me.symlink("target", join(folder, "dangling"));
    await me.symlink("file", join(folder, "link"));
    await refused("EEXIST", me.open(join(folder, "dangling"), O_CREAT | O_EXCL | O_WRONLY, 0o644));
    await refused("ELOOP", me.open(join(folder, "link"), O_RDONLY | O_NOFOLLOW));
    const fd = await me.open(join(folder, "link"), O_PATH | O_NOFOLLOW);
    assert.equal((await me.fstat(fd)).mode & S_IFMT, S_IFLNK);
  },

  async "calls that act on a file follow a symlink, those on a name do not"(folder) {
    await using me = await startProcess();
    const [file, link] = [join(folder, "file"), join(folder, "link")];
    await writeFile(file, "content");
    await me.symlink("file", link);
    await me.chmod(link, 0o600);
    await me.truncate(link, 3);
    await me.chown(link, 1001, 1002);
    const { mode, size, uid, gid } = await me.stat(file);
    assert.deepEqual([mode & 0o7777, size, uid, gid], [0o600, 3, 1001, 1002]);
    await me.lchown(link, 1003, 1004);
    assert.deepEqual([(await me.lstat(link)).uid, (await me.stat(file)).uid], [1003, 1001]);
    await me.rename(link, join(folder, "moved"));
    await me.unlink(join(folder, "moved"));
    await me.stat(file);
  },

  async "a directory behind a symlink is no directory to rmdir"(folder) {
    await using me = await startProcess();
    await me.mkdir(join(folder, "dir"));
    await me.symlink("dir", join(folder, "link"));
    await refused("ENOTDIR", me.rmdir(join(folder, "link")));
    await refused("ENOTDIR", me.rmdir(join(folder, "link/")));
    await refused("EEXIST", me.mkdir(join(folder, "link")));
    await me.close(await me.open(join(folder, "link/new"), O_CREAT | O_WRONLY, 0o644));
    await me.stat(join(folder, "dir/new"));
  },
};

export const links: Rules = { ...hard, ...symbolic };
