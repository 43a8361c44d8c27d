import assert from "node:assert/strict";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { refused, type Rules } from "./rules.ts";
import {
  DT_CHR,
  DT_DIR,
  DT_FIFO,
  DT_LNK,
  DT_REG,
  DT_SOCK,
  O_CREAT,
  O_DIRECTORY,
  O_RDONLY,
  O_WRONLY,
  S_IFCHR,
  S_IFIFO,
  S_IFSOCK,
  type DirectoryEntry,
} from "./support/calls.ts";
import { startProcess, type TestProcess } from "./support/process.ts";

/** Directories: making, removing, listing while they change. */

const MANY = 2500;

async function listAll(me: TestProcess, directory: number): Promise<string[]> {
  const names: string[] = [];
  for (;;) {
    const entries = await me.read_directory(directory, 1000);
    if (entries.length === 0) return names.filter((name) => name !== "." && name !== "..");
    names.push(...entries.map(([name]) => name.toString()));
  }
}

async function makeMany(me: TestProcess, folder: string, count = MANY): Promise<string[]> {
  await me.make_files(folder, "name-that-is-not-short-", count);
  return Array.from({ length: count }, (_, at) => `name-that-is-not-short-${at}`).toSorted();
}

const making: Rules = {
  async "a new directory is empty, has two links and its parent one more"(folder) {
    await using me = await startProcess();
    const before = await me.stat(folder);
    await me.mkdir(join(folder, "dir"), 0o750);
    const { nlink, mode } = await me.stat(join(folder, "dir"));
    assert.deepEqual([nlink, mode & 0o7777], [2, 0o750]);
    assert.equal((await me.stat(folder)).nlink, before.nlink + 1);
    assert.deepEqual(await me.listdir(join(folder, "dir")), []);
    await me.rmdir(join(folder, "dir"));
    assert.equal((await me.stat(folder)).nlink, before.nlink);
  },

  async "a directory over anything is EEXIST"(folder) {
    await using me = await startProcess();
    await writeFile(join(folder, "file"), "");
    await me.symlink("nowhere", join(folder, "link"));
    await me.mkdir(join(folder, "dir"));
    for (const name of ["file", "link", "dir", "."]) {
      await refused("EEXIST", me.mkdir(`${folder}/${name}`));
    }
  },

  async "a directory with anything in it is ENOTEMPTY"(folder) {
    await using me = await startProcess();
    const dir = join(folder, "dir");
    await me.mkdir(dir);
    await me.symlink("nowhere", join(dir, "link"));
    await refused("ENOTEMPTY", me.rmdir(dir));
    await me.unlink(join(dir, "link"));
    await me.mkdir(join(dir, "sub"));
    await refused("ENOTEMPTY", me.rmdir(dir));
    await me.rmdir(join(dir, "sub"));
    await me.rmdir(dir);
    await refused("ENOENT", me.rmdir(dir));
  },

  async "rmdir takes directories only, unlink everything else"(folder) {
    await using me = await startProcess();
    await writeFile(join(folder, "file"), "");
    await me.mkfifo(join(folder, "fifo"));
    await me.mkdir(join(folder, "dir"));
    await refused("ENOTDIR", me.rmdir(join(folder, "file")));
    await refused("ENOTDIR", me.rmdir(join(folder, "fifo")));
    await refused("EISDIR", me.unlink(join(folder, "dir")));
  },

  async "ten make one directory, one succeeds"(folder) {
    const all = await Promise.all(Array.from({ length: 10 }, () => startProcess()));
    const outcomes = await Promise.all(
      all.map((me) =>
        me.mkdir(join(folder, "dir")).then(
          () => "made",
          (error: { code: string }) => error.code,
        ),
      ),
    );
    for (const me of all) await me[Symbol.asyncDispose]();
    assert.deepEqual(outcomes.toSorted(), [...Array<string>(9).fill("EEXIST"), "made"]);
  },
};

const removed: Rules = {
  async "a removed directory that somebody stands in has nothing and takes nothing"(folder) {
    await using me = await startProcess();
    await me.mkdir(join(folder, "dir"));
    await me.chdir(join(folder, "dir"));
    await me.rmdir(join(folder, "dir"));
    await refused("ENOENT", me.open("file", O_CREAT | O_WRONLY, 0o644));
    await refused("ENOENT", me.mkdir("sub"));
    await refused("ENOENT", me.stat("file"));
    await refused("ENOENT", me.symlink("target", "link"));
    await refused("ENOENT", me.getcwd());
    assert.equal((await me.stat(".")).nlink, 0);
  },

  async "a removed directory that is open can be looked at, and lists nothing"(folder) {
    await using me = await startProcess();
    const dir = join(folder, "dir");
    await me.mkdir(dir, 0o751);
    const { ino } = await me.stat(dir);
    const fd = await me.open(dir, O_RDONLY | O_DIRECTORY);
    const stream = await me.open_directory(dir);
    await me.rmdir(dir);
    const status = await me.fstat(fd);
    assert.deepEqual([status.ino, status.nlink, status.mode & 0o777], [ino, 0, 0o751]);
    assert.deepEqual(await listAll(me, stream), []);
    await me.fsync(fd);
    await me.close_directory(stream);
    await me.mkdir(dir);
    assert.equal((await me.fstat(fd)).nlink, 0);
  },

  async "a replaced directory is as a removed one"(folder) {
    await using me = await startProcess();
    await me.mkdir(join(folder, "from"));
    await me.mkdir(join(folder, "to"));
    const fd = await me.open(join(folder, "to"), O_RDONLY | O_DIRECTORY);
    await me.rename(join(folder, "from"), join(folder, "to"));
    assert.equal((await me.fstat(fd)).nlink, 0);
    assert.equal((await me.stat(join(folder, "to"))).nlink, 2);
  },
};

const listing: Rules = {
  async "an empty directory lists itself and its parent"(folder) {
    await using me = await startProcess();
    await me.mkdir(join(folder, "dir"));
    const stream = await me.open_directory(join(folder, "dir"));
    const entries = await me.read_directory(stream, 10);
    const dots = entries.map(([name, ino, type]) => [name.toString(), ino, type]);
    dots.sort(([one], [two]) => (String(one) < String(two) ? -1 : 1));
    assert.deepEqual(dots, [
      [".", (await me.stat(join(folder, "dir"))).ino, DT_DIR],
      ["..", (await me.stat(folder)).ino, DT_DIR],
    ]);
  },

  async "a listing tells inode and type of everything"(folder) {
    await using me = await startProcess();
    await writeFile(join(folder, "file"), "");
    await me.mkdir(join(folder, "dir"));
    await me.symlink("nowhere", join(folder, "link"));
    await me.mknod(join(folder, "fifo"), S_IFIFO | 0o600);
    await me.mknod(join(folder, "socket"), S_IFSOCK | 0o600);
    await me.mknod(join(folder, "device"), S_IFCHR | 0o600, 0x0103);
    const entries = await me.read_directory(await me.open_directory(folder), 100);
    const types = new Map(entries.map(([name, , type]) => [name.toString(), type]));
    assert.deepEqual(
      ["file", "dir", "link", "fifo", "socket", "device"].map((name) => types.get(name)),
      [DT_REG, DT_DIR, DT_LNK, DT_FIFO, DT_SOCK, DT_CHR],
    );
    for (const [name, ino] of entries) {
      const path = join(folder, name.toString());
      assert.equal((await me.lstat(path)).ino, ino, path);
    }
  },

  async "every name is listed once, in a directory of thousands"(folder) {
    await using me = await startProcess();
    const names = await makeMany(me, folder);
    assert.deepEqual((await listAll(me, await me.open_directory(folder))).toSorted(), names);
    await rm(folder, { recursive: true });
  },

  async "names removed as they are listed: all are met once, the directory is empty then"(folder) {
    await using me = await startProcess();
    const names = await makeMany(me, folder);
    const stream = await me.open_directory(folder);
    const met: string[] = [];
    for (;;) {
      const entries = await me.read_directory(stream, 7);
      if (entries.length === 0) break;
      for (const [name] of entries) {
        if (/^\.\.?$/.test(name.toString())) continue;
        met.push(name.toString());
        await me.unlink(join(folder, name.toString()));
      }
    }
    assert.deepEqual(met.toSorted(), names);
    assert.deepEqual(await readdir(folder), []);
  },

  async "names that stay are listed once while others come and go"(folder) {
    await using me = await startProcess();
    const names = await makeMany(me, folder);
    const stream = await me.open_directory(folder);
    const met: string[] = [];
    for (let round = 0; ; round++) {
      const entries = await me.read_directory(stream, 50);
      if (entries.length === 0) break;
      met.push(...entries.map(([name]) => name.toString()));
      await me.make_files(folder, `new-${round}-`, 20);
      for (let at = 0; at < 20; at += 2) await me.unlink(join(folder, `new-${round}-${at}`));
    }
    const stayed = met.filter((name) => name.startsWith("name-")).toSorted();
    assert.deepEqual(stayed, names);
    assert.equal(new Set(met).size, met.length, "a name comes twice");
    await rm(folder, { recursive: true });
  },

  async "a position told is found again, also when names before it are gone"(folder) {
    await using me = await startProcess();
    await makeMany(me, folder, 1500);
    const stream = await me.open_directory(folder);
    const first: DirectoryEntry[] = [];
    while (first.length < 700) first.push(...(await me.read_directory(stream, 100)));
    const position = first.at(-1)?.[3] ?? 0n;
    const rest: string[] = [];
    for (;;) {
      const entries = await me.read_directory(stream, 500);
      if (entries.length === 0) break;
      rest.push(...entries.map(([name]) => name.toString()));
    }
    for (const [name] of first.slice(100, 300)) {
      if (!/^\.\.?$/.test(name.toString())) await me.unlink(join(folder, name.toString()));
    }
    await me.seek_directory(stream, position);
    const again: string[] = [];
    for (;;) {
      const entries = await me.read_directory(stream, 500);
      if (entries.length === 0) break;
      again.push(...entries.map(([name]) => name.toString()));
    }
    assert.deepEqual(again, rest);
    await rm(folder, { recursive: true });
  },

  async "a rewound listing shows what is there now"(folder) {
    await using me = await startProcess();
    await writeFile(join(folder, "old"), "");
    const stream = await me.open_directory(folder);
    assert.deepEqual(await listAll(me, stream), ["old"]);
    await writeFile(join(folder, "new"), "");
    await me.unlink(join(folder, "old"));
    await me.rewind_directory(stream);
    assert.deepEqual(await listAll(me, stream), ["new"]);
  },

  async "two listings of one directory go their own ways"(folder) {
    await using me = await startProcess();
    const names = await makeMany(me, folder, 300);
    const [one, two] = [await me.open_directory(folder), await me.open_directory(folder)];
    await me.read_directory(one, 100);
    assert.deepEqual((await listAll(me, two)).toSorted(), names);
    assert.equal((await listAll(me, one)).length + 100, names.length + 2);
    await rm(folder, { recursive: true });
  },

  async "rm -rf empties ten thousand names"(folder) {
    await using me = await startProcess();
    const dir = join(folder, "dir");
    await mkdir(join(dir, "sub"), { recursive: true });
    await me.make_files(dir, "file", 8000);
    await me.make_files(join(dir, "sub"), "file", 2000);
    const { status, stderr } = await me.run(["rm", "-rf", dir]);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.deepEqual(await readdir(folder), []);
  },

  async "a tree of directories is walked, counted and removed"(folder) {
    await using me = await startProcess();
    for (let a = 0; a < 5; a++) {
      for (let b = 0; b < 5; b++) {
        await mkdir(join(folder, `a${a}/b${b}/c`), { recursive: true });
        await me.make_files(join(folder, `a${a}/b${b}/c`), "f", 4);
      }
    }
    const found = await me.run(["find", folder, "-type", "f"]);
    assert.equal(found.stdout.trimEnd().split("\n").length, 100);
    assert.equal((await me.stat(folder)).nlink, 7);
    assert.equal((await me.stat(join(folder, "a0"))).nlink, 7);
    assert.equal(
      (
        await me.run([
          "rm",
          "-rf",
          ...["a0", "a1", "a2", "a3", "a4"].map((name) => join(folder, name)),
        ])
      ).status,
      0,
    );
    assert.deepEqual(await readdir(folder), []);
  },
};

export const directories: Rules = { ...making, ...removed, ...listing };
