import assert from "node:assert/strict";
import { join } from "node:path";
import { refused, type Rules } from "./rules.ts";
import {
  COLLAPSE_RANGE,
  KEEP_SIZE,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  PUNCH_HOLE,
  SEEK_DATA,
  SEEK_HOLE,
  SEEK_SET,
  ZERO_RANGE,
} from "./support/calls.ts";
import { startProcess, type TestProcess } from "./support/process.ts";

/** Sparse files: fallocate(2), SEEK_DATA and SEEK_HOLE, offsets far out. */

const GIB = 2 ** 30;

async function create(me: TestProcess, folder: string, content = Buffer.alloc(0)): Promise<number> {
  const fd = await me.open(join(folder, "file"), O_CREAT | O_EXCL | O_RDWR, 0o644);
  if (content.length > 0) await me.write(fd, content);
  return fd;
}

const allocating: Rules = {
  async "fallocate makes a file longer with zeros, never shorter"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder, Buffer.from("content"));
    await me.fallocate(fd, 0, 0, 100);
    assert.deepEqual(
      await me.pread(fd, 200, 0),
      Buffer.concat([Buffer.from("content"), Buffer.alloc(93)]),
    );
    await me.fallocate(fd, 0, 10, 20);
    assert.equal((await me.fstat(fd)).size, 100);
    await me.posix_fallocate(fd, 1000, 24);
    assert.equal((await me.fstat(fd)).size, 1024);
  },

  async "KEEP_SIZE keeps the length"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder, Buffer.from("content"));
    await me.fallocate(fd, KEEP_SIZE, 0, 100_000);
    assert.equal((await me.fstat(fd)).size, 7);
    assert.equal((await me.pread(fd, 100, 0)).toString(), "content");
  },

  async "PUNCH_HOLE zeroes a range and keeps the length"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder, Buffer.alloc(20_000, 1));
    await me.fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 5000, 10_000);
    const expected = Buffer.alloc(20_000, 1).fill(0, 5000, 15_000);
    assert.deepEqual(await me.pread(fd, 30_000, 0), expected);
    await me.fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 19_000, 50_000);
    expected.fill(0, 19_000);
    assert.deepEqual(await me.pread(fd, 90_000, 0), expected);
    await me.fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 100_000, 50_000);
    assert.equal((await me.fstat(fd)).size, 20_000);
  },

  async "PUNCH_HOLE without KEEP_SIZE is refused"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder, Buffer.alloc(100));
    await refused("EOPNOTSUPP", me.fallocate(fd, PUNCH_HOLE, 0, 10));
    await refused("EOPNOTSUPP", me.fallocate(fd, 0x4000_0000, 0, 10));
    await refused("EOPNOTSUPP", me.fallocate(fd, COLLAPSE_RANGE | KEEP_SIZE, 0, 4096));
  },

  async "ZERO_RANGE zeroes and makes longer, or not with KEEP_SIZE"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder, Buffer.alloc(10_000, 1));
    await me.fallocate(fd, ZERO_RANGE | KEEP_SIZE, 8000, 10_000);
    assert.deepEqual(await me.pread(fd, 30_000, 0), Buffer.alloc(10_000, 1).fill(0, 8000));
    await me.fallocate(fd, ZERO_RANGE, 9000, 10_000);
    assert.equal((await me.fstat(fd)).size, 19_000);
    assert.deepEqual(await me.pread(fd, 30_000, 0), Buffer.alloc(19_000).fill(1, 0, 8000));
  },

  async "a range of nothing or before the start is EINVAL"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder);
    await refused("EINVAL", me.fallocate(fd, 0, 0, 0));
    await refused("EINVAL", me.fallocate(fd, 0, -1, 10));
    await refused("EINVAL", me.fallocate(fd, 0, 0, -10));
  },

  async "what was written just before is zeroed too, and what comes after stays"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder);
    await me.pwrite(fd, Buffer.alloc(1000, 1), 0);
    await me.fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 0, 500);
    await me.pwrite(fd, Buffer.alloc(100, 2), 100);
    const expected = Buffer.alloc(1000, 1).fill(0, 0, 500).fill(2, 100, 200);
    assert.deepEqual(await me.pread(fd, 2000, 0), expected);
  },

  async "fallocate of what is no file is refused"(folder) {
    await using me = await startProcess();
    const dir = await me.open(folder, O_RDONLY);
    await refused("EBADF", me.fallocate(dir, 0, 0, 10));
    await me.mkfifo(join(folder, "fifo"));
    await refused("ESPIPE", me.fallocate(await me.open(join(folder, "fifo"), O_RDWR), 0, 0, 10));
  },
};

const seeking: Rules = {
  async "SEEK_DATA and SEEK_HOLE of a file without holes"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder, Buffer.alloc(10_000, 1));
    assert.equal(await me.lseek(fd, 0, SEEK_DATA), 0);
    assert.equal(await me.lseek(fd, 5000, SEEK_DATA), 5000);
    assert.equal(await me.lseek(fd, 0, SEEK_HOLE), 10_000);
    assert.equal(await me.lseek(fd, 9999, SEEK_HOLE), 10_000);
  },

  async "behind the end there is neither data nor hole"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder, Buffer.alloc(100, 1));
    for (const whence of [SEEK_DATA, SEEK_HOLE]) {
      await refused("ENXIO", me.lseek(fd, 100, whence));
      await refused("ENXIO", me.lseek(fd, 5000, whence));
      await refused("ENXIO", me.lseek(fd, -1, whence));
    }
  },

  async "data between two holes is found"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder);
    const mib = 1 << 20;
    await me.pwrite(fd, Buffer.alloc(mib, 1), 8 * mib);
    await me.ftruncate(fd, 20 * mib);
    assert.equal(await me.lseek(fd, 0, SEEK_DATA), 8 * mib);
    assert.equal(await me.lseek(fd, 0, SEEK_HOLE), 0);
    assert.equal(await me.lseek(fd, 8 * mib, SEEK_HOLE), 9 * mib);
    assert.equal(await me.lseek(fd, 9 * mib, SEEK_HOLE), 9 * mib);
    await refused("ENXIO", me.lseek(fd, 9 * mib, SEEK_DATA));
  },

  async "a punched hole is one"(folder) {
    await using me = await startProcess();
    const mib = 1 << 20;
    const fd = await create(me, folder, Buffer.alloc(3 * mib, 1));
    await me.fallocate(fd, PUNCH_HOLE | KEEP_SIZE, mib, mib);
    assert.equal(await me.lseek(fd, 0, SEEK_HOLE), mib);
    assert.equal(await me.lseek(fd, mib, SEEK_DATA), 2 * mib);
    assert.equal(await me.lseek(fd, 2 * mib, SEEK_HOLE), 3 * mib);
  },

  async "an empty file, and one that is all hole"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder);
    await refused("ENXIO", me.lseek(fd, 0, SEEK_DATA));
    await refused("ENXIO", me.lseek(fd, 0, SEEK_HOLE));
    await me.ftruncate(fd, 1_000_000);
    assert.equal(await me.lseek(fd, 0, SEEK_HOLE), 0);
    await refused("ENXIO", me.lseek(fd, 0, SEEK_DATA));
  },

  async "data far behind a hole is found across many chunks"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder);
    await me.pwrite(fd, Buffer.alloc(4096, 1), 5 * GIB);
    assert.equal(await me.lseek(fd, 0, SEEK_DATA), 5 * GIB);
    assert.equal(await me.lseek(fd, 5 * GIB, SEEK_HOLE), 5 * GIB + 4096);
  },

  async "data behind a hole of terabytes is found at once"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder);
    const tib = 1024 * GIB;
    await me.pwrite(fd, Buffer.alloc(4096, 1), 2 * tib);
    const far = 12 * tib;
    await me.pwrite(fd, Buffer.alloc(4096, 1), far);
    const begun = performance.now();
    assert.equal(await me.lseek(fd, 0, SEEK_DATA), 2 * tib);
    assert.equal(await me.lseek(fd, 2 * tib, SEEK_HOLE), 2 * tib + 4096);
    assert.equal(await me.lseek(fd, 2 * tib + 4096, SEEK_DATA), far);
    await refused("ENXIO", me.lseek(fd, far + 4096, SEEK_DATA));
    const took = performance.now() - begun;
    assert.ok(took < 5000, `it took ${took} ms`);
  },

  async "a sparse copy by cp keeps the holes' zeros and the data"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder);
    await me.pwrite(fd, Buffer.from("start"), 0);
    await me.pwrite(fd, Buffer.from("end"), 200_000_000);
    await me.close(fd);
    const path = join(folder, "file");
    const copied = await me.run(["cp", "--sparse=always", path, `${path}2`]);
    assert.equal(copied.status, 0, copied.stderr);
    assert.equal((await me.run(["cmp", path, `${path}2`])).status, 0);
  },
};

const far: Rules = {
  async "bytes beyond 4 GiB are read where they were written"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder);
    for (const offset of [2 * GIB - 2, 4 * GIB - 2, 100 * GIB]) {
      await me.pwrite(fd, Buffer.from("over"), offset);
      assert.equal((await me.pread(fd, 10, offset)).subarray(0, 4).toString(), "over");
    }
    assert.equal((await me.fstat(fd)).size, 100 * GIB + 4);
    assert.deepEqual(await me.pread(fd, 16, 50 * GIB), Buffer.alloc(16));
    assert.equal(await me.lseek(fd, 100 * GIB, SEEK_SET), 100 * GIB);
    await me.ftruncate(fd, 4 * GIB - 1);
    assert.equal((await me.pread(fd, 10, 4 * GIB - 2)).toString(), "o");
  },

  async "a file of four tebibytes can be made and removed"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder);
    await me.ftruncate(fd, 4096 * GIB);
    assert.equal((await me.fstat(fd)).size, 4096 * GIB);
    await me.pwrite(fd, Buffer.from("end"), 4096 * GIB - 3);
    await me.ftruncate(fd, 1);
    await me.ftruncate(fd, 4096 * GIB);
    assert.deepEqual(await me.pread(fd, 3, 4096 * GIB - 3), Buffer.alloc(3));
    await me.close(fd);
    await me.unlink(join(folder, "file"));
  },
};

export const holes: Rules = { ...allocating, ...seeking, ...far };
