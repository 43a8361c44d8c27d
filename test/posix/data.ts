import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { refused, type Rule, type Rules } from "./rules.ts";
import {
  O_APPEND,
  O_CREAT,
  O_DIRECT,
  O_DIRECTORY,
  O_DSYNC,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_SYNC,
  O_TRUNC,
  O_WRONLY,
  SEEK_CUR,
  SEEK_END,
  SEEK_SET,
} from "./support/calls.ts";
import { startProcess, type TestProcess } from "./support/process.ts";

/** Reading and writing. */

const MIB = 1 << 20;
/** Where one piece of a volume's file ends. */
const CHUNK = 64 * MIB;

/** Bytes that tell where they belong: their period is a prime that no border is a multiple of. */
function pattern(length: number, seed = 1): Buffer {
  const period = Buffer.alloc(65_537);
  for (let at = 0, state = seed; at < period.length; at++) {
    state = (state * 1103515245 + 12345) & 0x7fff_ffff;
    period[at] = state >> 16;
  }
  return Buffer.alloc(length, period);
}

function digest(bytes: Buffer): string {
  return createHash("sha1").update(bytes).digest("hex");
}

async function create(
  me: TestProcess,
  folder: string,
  content: Buffer | string = "",
): Promise<number> {
  const fd = await me.open(join(folder, "file"), O_CREAT | O_EXCL | O_RDWR, 0o644);
  if (content.length > 0) await me.write(fd, Buffer.from(content));
  return fd;
}

/** Writes at borders of pages, blocks, requests and chunks: what was there before and after stays. */
const BORDERS: readonly [string, number][] = [
  ["the start", 0],
  ["a page", 4096],
  ["128 KiB", 128 << 10],
  ["1 MiB", MIB],
  ["a block", 4 * MIB],
  ["a chunk", CHUNK],
];

const borders: Rules = Object.fromEntries(
  BORDERS.flatMap(([what, border]): [string, Rule][] =>
    [1, 10_000, 3_000_000].map((length): [string, Rule] => [
      `${length} bytes written over the border of ${what} are read back, neighbours stay`,
      async (folder) => {
        await using me = await startProcess();
        const path = join(folder, "file");
        const start = Math.max(0, border - 5_000_000);
        const before = pattern(10_000_000, 3);
        const fd = await create(me, folder);
        for (let at = 0; at < before.length; at += MIB) {
          await me.pwrite(fd, before.subarray(at, at + MIB), start + at);
        }
        const piece = pattern(length, 9);
        const from = Math.max(0, border - Math.floor(length / 2));
        await me.pwrite(fd, piece, from);
        piece.copy(before, from - start);
        await me.close(fd);
        const handle = await me.open(path, O_RDONLY);
        const parts: Buffer[] = [];
        for (let at = 0; at < before.length; at += 3 * MIB) {
          parts.push(await me.pread(handle, 3 * MIB, start + at));
        }
        assert.equal(digest(Buffer.concat(parts)), digest(before));
        assert.equal((await me.fstat(handle)).size, start + before.length);
      },
    ]),
  ),
);

const reading: Rules = {
  async "a read at the end is empty, one over the end is short"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder, "content");
    assert.equal((await me.read(fd, 10)).length, 0);
    assert.equal((await me.pread(fd, 10, 7)).length, 0);
    assert.equal((await me.pread(fd, 10, 1000)).length, 0);
    assert.equal((await me.pread(fd, 10, 4)).toString(), "ent");
    assert.equal((await me.pread(fd, 0, 2)).length, 0);
  },

  async "what was written is read at once by every descriptor"(folder) {
    await using me = await startProcess();
    await using other = await startProcess();
    const fd = await create(me, folder);
    const theirs = await other.open(join(folder, "file"), O_RDONLY);
    for (let at = 0; at < 50; at++) {
      await me.write(fd, Buffer.from(`line ${at}\n`));
      assert.equal((await other.read(theirs, 100)).toString(), `line ${at}\n`);
    }
  },

  async "the length grows with the write, before any fsync"(folder) {
    await using me = await startProcess();
    await using other = await startProcess();
    const fd = await create(me, folder);
    let length = 0;
    for (const count of [1, 4095, 4096, 100_000, 1]) {
      await me.write(fd, Buffer.alloc(count, 1));
      length += count;
      assert.equal((await me.fstat(fd)).size, length);
      assert.equal((await other.stat(join(folder, "file"))).size, length);
      assert.equal(
        await other.lseek(await other.open(join(folder, "file"), O_RDONLY), 0, SEEK_END),
        length,
      );
    }
  },

  async "a descriptor has its own position, a duplicate shares it"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder, "0123456789");
    const second = await me.open(join(folder, "file"), O_RDONLY);
    const duplicate = await me.dup(second);
    assert.equal((await me.read(second, 3)).toString(), "012");
    assert.equal((await me.read(duplicate, 3)).toString(), "345");
    assert.equal((await me.read(second, 3)).toString(), "678");
    assert.equal(await me.lseek(fd, 0, SEEK_CUR), 10);
    await me.pread(second, 5, 0);
    assert.equal(await me.lseek(second, 0, SEEK_CUR), 9);
  },

  async "the position can be put anywhere but before the start"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder, "0123456789");
    assert.equal(await me.lseek(fd, 3, SEEK_SET), 3);
    assert.equal(await me.lseek(fd, -1, SEEK_CUR), 2);
    assert.equal(await me.lseek(fd, -4, SEEK_END), 6);
    assert.equal(await me.lseek(fd, 1000, SEEK_END), 1010);
    assert.equal((await me.read(fd, 1)).length, 0);
    await refused("EINVAL", me.lseek(fd, -1, SEEK_SET));
    await refused("EINVAL", me.lseek(fd, -2000, SEEK_CUR));
    assert.equal(await me.lseek(fd, 0, SEEK_CUR), 1010);
    assert.equal((await me.fstat(fd)).size, 10);
  },

  async "a descriptor reads or writes only what it was opened for"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    await writeFile(path, "content");
    const [reader, writer, bare] = [
      await me.open(path, O_RDONLY),
      await me.open(path, O_WRONLY),
      await me.open(path, O_PATH),
    ];
    await refused("EBADF", me.write(reader, Buffer.from("x")));
    await refused("EBADF", me.read(writer, 1));
    await refused("EBADF", me.read(bare, 1));
    await refused("EINVAL", me.ftruncate(reader, 0));
    await refused("EBADF", me.fallocate(reader, 0, 0, 10));
    await me.close(reader);
    await refused("EBADF", me.read(reader, 1));
  },

  async "a directory is neither read nor written as a file"(folder) {
    await using me = await startProcess();
    await refused("EISDIR", me.open(folder, O_WRONLY));
    await refused("EISDIR", me.open(folder, O_RDWR));
    await refused("EISDIR", me.open(folder, O_RDONLY | O_TRUNC));
    await refused("EISDIR", me.open(folder, O_CREAT | O_RDONLY, 0o644));
    await refused("EISDIR", me.truncate(folder, 0));
    const fd = await me.open(folder, O_RDONLY);
    await refused("EISDIR", me.read(fd, 10));
    await refused("EBADF", me.write(fd, Buffer.from("x")));
  },

  async "a negative offset is EINVAL"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder, "content");
    await refused("EINVAL", me.pread(fd, 1, -1));
    await refused("EINVAL", me.pwrite(fd, Buffer.from("x"), -1));
    await refused("EINVAL", me.truncate(join(folder, "file"), -1));
    await refused("EINVAL", me.ftruncate(fd, -1));
  },
};

const opening: Rules = {
  async "O_EXCL makes a file or refuses, also over a directory"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    await me.close(await me.open(path, O_CREAT | O_EXCL | O_WRONLY, 0o600));
    await refused("EEXIST", me.open(path, O_CREAT | O_EXCL | O_WRONLY, 0o600));
    await me.mkdir(join(folder, "dir"));
    await refused("EEXIST", me.open(join(folder, "dir"), O_CREAT | O_EXCL | O_WRONLY, 0o600));
  },

  async "of twenty who make one name with O_EXCL one wins"(folder) {
    const all = await Promise.all(Array.from({ length: 10 }, () => startProcess()));
    const path = join(folder, "file");
    const outcomes = await Promise.all(
      [...all, ...all].map(async (me) => {
        try {
          await me.open(path, O_CREAT | O_EXCL | O_WRONLY, 0o600);
          return "made";
        } catch (error) {
          return (error as { code: string }).code;
        }
      }),
    );
    for (const me of all) await me[Symbol.asyncDispose]();
    assert.equal(outcomes.filter((outcome) => outcome === "made").length, 1);
    assert.equal(outcomes.filter((outcome) => outcome === "EEXIST").length, 19);
  },

  async "O_CREAT keeps what is there"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    await writeFile(path, "content", { mode: 0o600 });
    await me.close(await me.open(path, O_CREAT | O_WRONLY, 0o666));
    assert.equal(await readFile(path, "utf8"), "content");
    assert.equal((await me.stat(path)).mode & 0o777, 0o600);
  },

  async "O_TRUNC empties a file, also for a reader of it"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    await writeFile(path, "content");
    const reader = await me.open(path, O_RDONLY);
    await me.close(await me.open(path, O_WRONLY | O_TRUNC));
    assert.equal((await me.fstat(reader)).size, 0);
    assert.equal((await me.read(reader, 10)).length, 0);
  },

  async "O_DIRECTORY wants a directory"(folder) {
    await using me = await startProcess();
    await writeFile(join(folder, "file"), "");
    await refused("ENOTDIR", me.open(join(folder, "file"), O_RDONLY | O_DIRECTORY));
    await me.close(await me.open(folder, O_RDONLY | O_DIRECTORY));
    await me.symlink(".", join(folder, "link"));
    await refused("ENOTDIR", me.open(join(folder, "link"), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  },

  async "a file that is running is not written"(folder) {
    await using me = await startProcess();
    const path = join(folder, "sleep");
    await copyFile("/bin/sleep", path);
    await me.chmod(path, 0o755);
    const pid = await me.spawn([path, "60"]);
    await refused("ETXTBSY", me.open(path, O_WRONLY));
    await refused("ETXTBSY", me.truncate(path, 0));
    await me.finish(pid);
    await me.close(await me.open(path, O_WRONLY));
  },

  async "a file open for writing is not run"(folder) {
    await using me = await startProcess();
    const path = join(folder, "true");
    await copyFile("/bin/true", path);
    await me.chmod(path, 0o755);
    const fd = await me.open(path, O_WRONLY);
    await refused("ETXTBSY", me.run([path]));
    await me.close(fd);
    assert.equal((await me.run([path])).status, 0);
  },
};

const writing: Rules = {
  async "a write behind the end leaves zeros between"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder, "abc");
    await me.pwrite(fd, Buffer.from("xyz"), 10);
    const expected = Buffer.from("abc\0\0\0\0\0\0\0xyz");
    assert.deepEqual(await me.pread(fd, 100, 0), expected);
    await me.close(fd);
    assert.deepEqual(await readFile(join(folder, "file")), expected);
  },

  async "a write of nothing makes nothing, wherever it goes"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder, "abc");
    assert.equal(await me.pwrite(fd, Buffer.alloc(0), 1000), 0);
    assert.equal((await me.fstat(fd)).size, 3);
  },

  async "writes that overlap: the later one is seen"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder);
    const expected = Buffer.alloc(200_000);
    for (let round = 0; round < 40; round++) {
      const from = (round * 37_123) % 150_000;
      const piece = pattern(1 + ((round * 7919) % 50_000), round);
      await me.pwrite(fd, piece, from);
      piece.copy(expected, from);
    }
    const { size } = await me.fstat(fd);
    assert.equal(digest(await me.pread(fd, 300_000, 0)), digest(expected.subarray(0, size)));
    await me.close(fd);
    assert.equal(digest(await readFile(join(folder, "file"))), digest(expected.subarray(0, size)));
  },

  async "two writers of one file see each other's bytes, none is lost"(folder) {
    await using one = await startProcess();
    await using two = await startProcess();
    const a = await create(one, folder);
    const b = await two.open(join(folder, "file"), O_RDWR);
    for (let at = 0; at < 100; at++) {
      await one.pwrite(a, Buffer.alloc(500, 1), at * 1000);
      await two.pwrite(b, Buffer.alloc(500, 2), at * 1000 + 500);
      assert.deepEqual(await one.pread(a, 1, at * 1000 + 999), Buffer.of(2));
      assert.deepEqual(await two.pread(b, 1, at * 1000), Buffer.of(1));
    }
    await one.close(a);
    await two.close(b);
    const content = await readFile(join(folder, "file"));
    assert.equal(content.length, 100_000);
    assert.ok(content.every((byte, at) => byte === (at % 1000 < 500 ? 1 : 2)));
  },

  async "thirty megabytes come back as they went"(folder) {
    const content = pattern(30_000_000, 5);
    await writeFile(join(folder, "file"), content);
    assert.equal(digest(await readFile(join(folder, "file"))), digest(content));
    await copyFile(join(folder, "file"), join(folder, "copy"));
    assert.equal(digest(await readFile(join(folder, "copy"))), digest(content));
  },

  async "a file can be written from its end to its start"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder);
    const content = pattern(300_000, 11);
    for (let at = content.length - 10_000; at >= 0; at -= 10_000) {
      await me.pwrite(fd, content.subarray(at, at + 10_000), at);
    }
    await me.close(fd);
    assert.equal(digest(await readFile(join(folder, "file"))), digest(content));
  },

  async "synchronous writes are written"(folder) {
    await using me = await startProcess();
    for (const [name, flag] of [
      ["sync", O_SYNC],
      ["dsync", O_DSYNC],
      ["append", O_SYNC | O_APPEND],
    ] as const) {
      const fd = await me.open(join(folder, name), O_CREAT | O_WRONLY | flag, 0o644);
      await me.write(fd, Buffer.from("one "));
      await me.write(fd, Buffer.from("two"));
      assert.equal(await readFile(join(folder, name), "utf8"), "one two");
      await me.fsync(fd);
      await me.fdatasync(fd);
    }
  },

  async "direct and buffered access see the same bytes"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    const fd = await create(me, folder, pattern(3 * 4096));
    const direct = await me.run([
      "dd",
      `if=${path}`,
      "iflag=direct",
      "bs=4096",
      "status=none",
      `of=${path}.copy`,
    ]);
    assert.equal(direct.status, 0, direct.stderr);
    assert.deepEqual(await readFile(`${path}.copy`), pattern(3 * 4096));
    const written = await me.run([
      ...["dd", `if=${path}.copy`, `of=${path}`, "oflag=direct", "conv=notrunc"],
      ...["bs=4096", "count=1", "seek=2", "status=none"],
    ]);
    assert.equal(written.status, 0, written.stderr);
    assert.deepEqual(await me.pread(fd, 4096, 8192), pattern(4096));
    await me.pwrite(fd, Buffer.from("buffered"), 0);
    const handle = await me.open(path, O_RDWR | O_DIRECT);
    await me.close(handle);
  },

  async "fsync of files and directories succeeds"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder, "content");
    await me.fsync(fd);
    await me.fdatasync(fd);
    const dir = await me.open(folder, O_RDONLY | O_DIRECTORY);
    await me.fsync(dir);
    await me.fdatasync(dir);
  },

  async "a process that may write only so much gets EFBIG behind it"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder);
    await me.limit_file_size(10_000);
    assert.equal(await me.pwrite(fd, Buffer.alloc(500), 9800), 200);
    await refused("EFBIG", me.pwrite(fd, Buffer.alloc(1), 10_000));
    await refused("EFBIG", me.ftruncate(fd, 10_001));
    await me.ftruncate(fd, 10_000);
  },
};

const appending: Rules = {
  async "O_APPEND writes to the end, wherever the position is"(folder) {
    await using me = await startProcess();
    await writeFile(join(folder, "file"), "start");
    const fd = await me.open(join(folder, "file"), O_RDWR | O_APPEND);
    await me.lseek(fd, 0, SEEK_SET);
    await me.write(fd, Buffer.from(" one"));
    assert.equal(await me.lseek(fd, 0, SEEK_CUR), 9);
    await me.pwrite(fd, Buffer.from(" two"), 0);
    assert.equal((await me.pread(fd, 100, 0)).toString(), "start one two");
    await me.close(fd);
    assert.equal(await readFile(join(folder, "file"), "utf8"), "start one two");
  },

  async "appends of several processes are whole and none is lost"(folder) {
    const path = join(folder, "file");
    const writers = await Promise.all(Array.from({ length: 4 }, () => startProcess()));
    await Promise.all(
      writers.map(async (me, who) => {
        const fd = await me.open(path, O_CREAT | O_WRONLY | O_APPEND, 0o644);
        for (let at = 0; at < 50; at++) {
          await me.write(fd, Buffer.from(`${who}:${at}:${"x".repeat(100 + at)}\n`));
        }
        await me[Symbol.asyncDispose]();
      }),
    );
    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    assert.equal(lines.length, 200);
    for (let who = 0; who < 4; who++) {
      const own = lines.filter((line) => line.startsWith(`${who}:`));
      const expected = Array.from(
        { length: 50 },
        (_, at) => `${who}:${at}:${"x".repeat(100 + at)}`,
      );
      assert.deepEqual(own, expected);
    }
  },

  async "an append after a truncation goes to the new end"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    await writeFile(path, "0123456789");
    const fd = await me.open(path, O_WRONLY | O_APPEND);
    await me.truncate(path, 4);
    await me.write(fd, Buffer.from("x"));
    await me.truncate(path, 0);
    await me.write(fd, Buffer.from("new"));
    assert.equal(await readFile(path, "utf8"), "new");
  },

  async "an append joins what another descriptor writes"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    const fd = await create(me, folder, "a");
    const end = await me.open(path, O_WRONLY | O_APPEND);
    for (let at = 0; at < 20; at++) {
      await me.write(end, Buffer.from("b"));
      await me.pwrite(fd, Buffer.from("c"), 2 * at + 2);
    }
    assert.equal(await readFile(path, "utf8"), `a${"bc".repeat(20)}`);
  },

  async "records of a mebibyte are appended whole over every border"(folder) {
    await using me = await startProcess();
    const path = join(folder, "file");
    const fd = await me.open(path, O_CREAT | O_WRONLY | O_APPEND, 0o644);
    await me.truncate(path, CHUNK - 1_500_000);
    for (let at = 0; at < 3; at++) await me.write(fd, Buffer.alloc(MIB - 1, at + 1));
    await me.close(fd);
    const handle = await me.open(path, O_RDONLY);
    for (let at = 0; at < 3; at++) {
      const record = await me.pread(handle, MIB - 1, CHUNK - 1_500_000 + at * (MIB - 1));
      assert.ok(record.length === MIB - 1 && record.every((byte) => byte === at + 1));
    }
  },
};

const truncating: Rules = {
  async "what is cut off is gone, what is added is zeros"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder, pattern(10_000));
    await me.ftruncate(fd, 5000);
    await me.ftruncate(fd, 10_000);
    const content = await me.pread(fd, 20_000, 0);
    assert.deepEqual(
      content,
      Buffer.concat([pattern(10_000).subarray(0, 5000), Buffer.alloc(5000)]),
    );
    await me.close(fd);
    assert.deepEqual(await readFile(join(folder, "file")), content);
  },

  async "a file cut in a page shows zeros behind, also after a write further on"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder, Buffer.alloc(8192, 7));
    await me.ftruncate(fd, 100);
    await me.pwrite(fd, Buffer.from("x"), 8000);
    const content = await me.pread(fd, 8192, 0);
    assert.ok(content.subarray(0, 100).every((byte) => byte === 7));
    assert.ok(content.subarray(100, 8000).every((byte) => byte === 0));
  },

  async "a truncation between writes takes its place in their order"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder);
    const expected = Buffer.alloc(40_000);
    await me.pwrite(fd, Buffer.alloc(30_000, 1), 0);
    await me.ftruncate(fd, 10_000);
    await me.pwrite(fd, Buffer.alloc(10_000, 2), 20_000);
    await me.ftruncate(fd, 40_000);
    await me.pwrite(fd, Buffer.alloc(100, 3), 0);
    expected.fill(1, 0, 10_000).fill(2, 20_000, 30_000).fill(3, 0, 100);
    assert.deepEqual(await me.pread(fd, 50_000, 0), expected);
    await me.close(fd);
    assert.deepEqual(await readFile(join(folder, "file")), expected);
  },

  async "a truncation is seen by every descriptor"(folder) {
    await using me = await startProcess();
    await using other = await startProcess();
    const fd = await create(me, folder, "0123456789");
    const theirs = await other.open(join(folder, "file"), O_RDWR);
    assert.equal((await other.read(theirs, 5)).toString(), "01234");
    await me.ftruncate(fd, 7);
    assert.equal((await other.read(theirs, 100)).toString(), "56");
    await other.ftruncate(theirs, 3);
    assert.equal((await me.fstat(fd)).size, 3);
  },

  async "a truncation over the border of a chunk and back"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder);
    await me.pwrite(fd, Buffer.alloc(MIB, 1), CHUNK - MIB / 2);
    await me.ftruncate(fd, CHUNK - 100);
    await me.ftruncate(fd, CHUNK + MIB);
    const content = await me.pread(fd, 2 * MIB, CHUNK - MIB / 2);
    assert.ok(content.subarray(0, MIB / 2 - 100).every((byte) => byte === 1));
    assert.ok(content.subarray(MIB / 2 - 100).every((byte) => byte === 0));
  },

  async "only files have a length to change"(folder) {
    await using me = await startProcess();
    await me.mkfifo(join(folder, "fifo"));
    await refused("EINVAL", me.truncate(join(folder, "fifo"), 0));
  },
};

const copying: Rules = {
  async "copy_file_range copies a part into another file"(folder) {
    await using me = await startProcess();
    const content = pattern(200_000);
    const from = await create(me, folder, content);
    const to = await me.open(join(folder, "copy"), O_CREAT | O_RDWR, 0o644);
    assert.equal(await me.copy_file_range(from, to, 100_000, 50_000, 10), 100_000);
    const copy = await me.pread(to, 200_000, 0);
    assert.deepEqual(copy.subarray(10), content.subarray(50_000, 150_000));
    assert.equal(copy.length, 100_010);
  },

  async "copy_file_range stops at the end, and behind it copies nothing"(folder) {
    await using me = await startProcess();
    const from = await create(me, folder, "content");
    const to = await me.open(join(folder, "copy"), O_CREAT | O_RDWR, 0o644);
    assert.equal(await me.copy_file_range(from, to, 100, 3, 0), 4);
    assert.equal(await me.copy_file_range(from, to, 100, 7, 0), 0);
    assert.equal((await me.pread(to, 100, 0)).toString(), "tent");
  },

  async "copy_file_range within one file: apart it copies, over itself it is EINVAL"(folder) {
    await using me = await startProcess();
    const fd = await create(me, folder, "0123456789");
    assert.equal(await me.copy_file_range(fd, fd, 4, 0, 10), 4);
    assert.equal((await me.pread(fd, 100, 0)).toString(), "01234567890123");
    await refused("EINVAL", me.copy_file_range(fd, fd, 4, 0, 2));
  },

  async "copy_file_range uses and moves the positions"(folder) {
    await using me = await startProcess();
    const from = await create(me, folder, "0123456789");
    const to = await me.open(join(folder, "copy"), O_CREAT | O_RDWR, 0o644);
    await me.lseek(from, 2, SEEK_SET);
    assert.equal(await me.copy_file_range(from, to, 3), 3);
    assert.deepEqual([await me.lseek(from, 0, SEEK_CUR), await me.lseek(to, 0, SEEK_CUR)], [5, 3]);
  },

  async "a copy and its source change apart"(folder) {
    await using me = await startProcess();
    const from = await create(me, folder, pattern(100_000));
    const to = await me.open(join(folder, "copy"), O_CREAT | O_RDWR, 0o644);
    await me.copy_file_range(from, to, 100_000, 0, 0);
    await me.pwrite(from, Buffer.alloc(1000), 5000);
    assert.deepEqual(await me.pread(to, 100_000, 0), pattern(100_000));
    await me.pwrite(to, Buffer.alloc(1000), 50_000);
    assert.deepEqual(await me.pread(from, 1000, 50_000), pattern(100_000).subarray(50_000, 51_000));
    await me.close(from);
    await me.unlink(join(folder, "file"));
    assert.equal((await me.pread(to, 200_000, 0)).length, 100_000);
  },

  async "copy_file_range takes descriptors that may read and write"(folder) {
    await using me = await startProcess();
    await writeFile(join(folder, "file"), "content");
    const reader = await me.open(join(folder, "file"), O_RDONLY);
    const writer = await me.open(join(folder, "copy"), O_CREAT | O_WRONLY, 0o644);
    await refused("EBADF", me.copy_file_range(writer, writer, 1, 0, 10));
    await refused("EBADF", me.copy_file_range(reader, reader, 1, 0, 10));
    const append = await me.open(join(folder, "copy"), O_WRONLY | O_APPEND);
    await refused("EBADF", me.copy_file_range(reader, append, 1, 0, 0));
    assert.equal(await me.copy_file_range(reader, writer, 7, 0, 0), 7);
  },

  async "sendfile and splice of a file give its bytes"(folder) {
    await using me = await startProcess();
    const from = await create(me, folder, pattern(300_000));
    const to = await me.open(join(folder, "copy"), O_CREAT | O_RDWR, 0o644);
    let sent = 0;
    while (sent < 300_000) sent += await me.sendfile(to, from, sent, 300_000 - sent);
    assert.deepEqual(await me.pread(to, 400_000, 0), pattern(300_000));
  },
};

export const data: Rules = {
  ...borders,
  ...reading,
  ...opening,
  ...writing,
  ...appending,
  ...truncating,
  ...copying,
};
