import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { refused, type Rules } from "./rules.ts";
import {
  O_DIRECTORY,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from "./support/calls.ts";
import { startProcess } from "./support/process.ts";

/** Fifos, sockets and devices. */

export const specials: Rules = {
  async "a device keeps its numbers, as wide as they are"(folder) {
    await using me = await startProcess();
    const devices: [string, number, number][] = [
      ["char", S_IFCHR, 0x0103],
      ["block", S_IFBLK, 0x0700],
      ["wide", S_IFCHR, 0xfffffff0],
      ["wide block", S_IFBLK, 0x123_4567],
    ];
    for (const [name, type, rdev] of devices) {
      await me.mknod(join(folder, name), type | 0o600, rdev);
      const status = await me.stat(join(folder, name));
      assert.deepEqual([status.mode & S_IFMT, status.rdev, status.size], [type, rdev, 0]);
    }
  },

  async "a device works where it lies"(folder) {
    await using me = await startProcess();
    await me.mknod(join(folder, "zero"), S_IFCHR | 0o666, 0x0105);
    await me.mknod(join(folder, "full"), S_IFCHR | 0o666, 0x0107);
    const fd = await me.open(join(folder, "zero"), O_RDONLY);
    assert.deepEqual(await me.read(fd, 10), Buffer.alloc(10));
    await refused("ENOSPC", me.write(await me.open(join(folder, "full"), O_WRONLY), Buffer.of(1)));
  },

  async "mknod makes regular files too, but no directories"(folder) {
    await using me = await startProcess();
    await me.mknod(join(folder, "file"), S_IFREG | 0o640);
    await me.mknod(join(folder, "plain"), 0o600);
    assert.equal((await me.stat(join(folder, "file"))).mode, S_IFREG | 0o640);
    assert.equal((await me.stat(join(folder, "plain"))).mode, S_IFREG | 0o600);
    await refused("EPERM", me.mknod(join(folder, "dir"), S_IFDIR | 0o755));
    await refused("EEXIST", me.mknod(join(folder, "file"), S_IFIFO | 0o600));
  },

  async "a fifo carries bytes from one process to another"(folder) {
    await using reader = await startProcess();
    await using writer = await startProcess();
    const path = join(folder, "fifo");
    await reader.mkfifo(path, 0o600);
    const opening = reader.open(path, O_RDONLY);
    const out = await writer.open(path, O_WRONLY);
    const fd = await opening;
    await writer.write(out, Buffer.from("through"));
    assert.equal((await reader.read(fd, 100)).toString(), "through");
    await writer.close(out);
    assert.equal((await reader.read(fd, 100)).length, 0);
    assert.equal((await reader.stat(path)).size, 0);
  },

  async "a fifo without a reader is ENXIO to a writer who does not wait"(folder) {
    await using me = await startProcess();
    await me.mkfifo(join(folder, "fifo"), 0o600);
    await refused("ENXIO", me.open(join(folder, "fifo"), O_WRONLY | O_NONBLOCK));
    const fd = await me.open(join(folder, "fifo"), O_RDONLY | O_NONBLOCK);
    await me.open(join(folder, "fifo"), O_WRONLY | O_NONBLOCK);
    await refused("EAGAIN", me.read(fd, 1));
    await refused("ENOTDIR", me.open(join(folder, "fifo"), O_RDONLY | O_DIRECTORY));
  },

  async "an open fifo and an open device outlive their names"(folder) {
    await using me = await startProcess();
    await me.mkfifo(join(folder, "fifo"), 0o640);
    await me.mknod(join(folder, "null"), S_IFCHR | 0o666, 0x0103);
    for (const [name, mode] of [
      ["fifo", S_IFIFO | 0o640],
      ["null", S_IFCHR | 0o644],
    ] as const) {
      const fd = await me.open(join(folder, name), O_RDWR);
      await me.unlink(join(folder, name));
      const status = await me.fstat(fd);
      assert.deepEqual([status.nlink, status.mode], [0, mode]);
      await me.write(fd, Buffer.from("x"));
    }
  },

  async "a socket is bound, connected to and not opened"(folder) {
    await using server = await startProcess();
    await using client = await startProcess();
    // Addresses of sockets are short.
    await server.chdir(folder);
    await client.chdir(folder);
    await server.bind("s");
    const { mode } = await client.stat("s");
    assert.equal(mode & S_IFMT, S_IFSOCK);
    await client.connect("s");
    await refused("ENXIO", client.open("s", O_RDWR));
    await refused("EADDRINUSE", client.bind("s"));
    await client.rename("s", "t");
    await client.connect("t");
    await client.unlink("t");
    await refused("ENOENT", client.connect("t"));
  },

  async "a socket whose listener is gone refuses"(folder) {
    await using me = await startProcess();
    await me.chdir(folder);
    await me.close(await me.bind("s"));
    await refused("ECONNREFUSED", me.connect("s"));
  },

  async "what is no symlink, file or directory is copied by its kind"(folder) {
    await using me = await startProcess();
    await me.mkdir(join(folder, "from"));
    await me.mkfifo(join(folder, "from/fifo"), 0o640);
    await me.mknod(join(folder, "from/null"), S_IFCHR | 0o600, 0x0103);
    await me.symlink("nowhere", join(folder, "from/link"));
    await writeFile(join(folder, "from/file"), "content");
    const { status, stderr } = await me.run(["cp", "-a", join(folder, "from"), join(folder, "to")]);
    assert.equal(status, 0, stderr);
    for (const name of ["fifo", "null", "link", "file"]) {
      const [one, two] = [
        await me.lstat(join(folder, "from", name)),
        await me.lstat(join(folder, "to", name)),
      ];
      assert.deepEqual([two.mode, two.rdev, two.mtime], [one.mode, one.rdev, one.mtime], name);
    }
    assert.equal(await readFile(join(folder, "to/file"), "utf8"), "content");
  },
};
