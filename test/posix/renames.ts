import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { refused, type Rules } from "./rules.ts";
import {
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  RENAME_WHITEOUT,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "./support/calls.ts";
import { ALICE, BOB, startProcess, type TestProcess } from "./support/process.ts";

/** rename(2) and renameat2(2). */

const MAKE: Readonly<Record<string, (me: TestProcess, path: string) => Promise<unknown>>> = {
  "a file": async (me, path) => me.close(await me.open(path, O_CREAT | O_WRONLY, 0o644)),
  "a directory": (me, path) => me.mkdir(path),
  "a symlink": (me, path) => me.symlink("nowhere", path),
  "a fifo": (me, path) => me.mknod(path, S_IFIFO | 0o644),
  "a device": (me, path) => me.mknod(path, S_IFCHR | 0o644, 0x0103),
};

const moving: Rules = Object.fromEntries(
  Object.entries(MAKE).flatMap(([what, make]) => [
    [
      `${what} keeps everything but its name`,
      async (folder: string) => {
        await using me = await startProcess();
        await make(me, join(folder, "from"));
        const before = await me.lstat(join(folder, "from"));
        await me.rename(join(folder, "from"), join(folder, "to"));
        const after = await me.lstat(join(folder, "to"));
        assert.deepEqual({ ...after, ctime: 0n }, { ...before, ctime: 0n });
        assert.ok(after.ctime > before.ctime, "the change of its name is a change of status");
        assert.deepEqual(await readdir(folder), ["to"]);
      },
    ],
    [
      `${what} can be moved to another directory`,
      async (folder: string) => {
        await using me = await startProcess();
        await me.mkdir(join(folder, "a"));
        await me.mkdir(join(folder, "b"));
        await make(me, join(folder, "a/name"));
        const before = await me.lstat(join(folder, "a/name"));
        await me.rename(join(folder, "a/name"), join(folder, "b/name"));
        assert.equal((await me.lstat(join(folder, "b/name"))).ino, before.ino);
        await refused("ENOENT", me.lstat(join(folder, "a/name")));
      },
    ],
    [
      `${what} renamed to its own name stays`,
      async (folder: string) => {
        await using me = await startProcess();
        await make(me, join(folder, "name"));
        await me.rename(join(folder, "name"), join(folder, "name"));
        assert.deepEqual(await readdir(folder), ["name"]);
      },
    ],
    [
      `${what} can be exchanged with a file elsewhere`,
      async (folder: string) => {
        await using me = await startProcess();
        await me.mkdir(join(folder, "dir"));
        await make(me, join(folder, "one"));
        await writeFile(join(folder, "dir/two"), "two");
        const [one, two] = [
          await me.lstat(join(folder, "one")),
          await me.lstat(join(folder, "dir/two")),
        ];
        await me.renameat2(join(folder, "one"), join(folder, "dir/two"), RENAME_EXCHANGE);
        assert.equal((await me.lstat(join(folder, "one"))).ino, two.ino);
        assert.equal((await me.lstat(join(folder, "dir/two"))).ino, one.ino);
      },
    ],
  ]),
);

/** Every pair of types: what may replace what. */
const replacing: Rules = Object.fromEntries(
  Object.entries(MAKE).flatMap(([what, make]) =>
    Object.entries(MAKE).map(([other, makeOther]) => {
      const from = what === "a directory";
      const to = other === "a directory";
      const code = from && !to ? "ENOTDIR" : !from && to ? "EISDIR" : undefined;
      return [
        `${what} over ${other} ${code === undefined ? "replaces it" : `is ${code}`}`,
        async (folder: string) => {
          await using me = await startProcess();
          await make(me, join(folder, "from"));
          await makeOther(me, join(folder, "to"));
          const { ino } = await me.lstat(join(folder, "from"));
          const done = me.rename(join(folder, "from"), join(folder, "to"));
          if (code !== undefined) {
            await refused(code, done);
            assert.deepEqual((await readdir(folder)).toSorted(), ["from", "to"]);
            return;
          }
          await done;
          assert.equal((await me.lstat(join(folder, "to"))).ino, ino);
          assert.deepEqual(await readdir(folder), ["to"]);
        },
      ];
    }),
  ),
);

const directories: Rules = {
  async "a directory over one that is not empty is ENOTEMPTY"(folder) {
    await using me = await startProcess();
    await me.mkdir(join(folder, "from"));
    await me.mkdir(join(folder, "to"));
    await writeFile(join(folder, "to/file"), "");
    await refused("ENOTEMPTY", me.rename(join(folder, "from"), join(folder, "to")));
    await me.unlink(join(folder, "to/file"));
    await me.rename(join(folder, "from"), join(folder, "to"));
  },

  async "a directory into itself or below is EINVAL"(folder) {
    await using me = await startProcess();
    await me.mkdir(join(folder, "dir"));
    await me.mkdir(join(folder, "dir/sub"));
    await refused("EINVAL", me.rename(join(folder, "dir"), join(folder, "dir/new")));
    await refused("EINVAL", me.rename(join(folder, "dir"), join(folder, "dir/sub/new")));
    await refused("EINVAL", me.rename(join(folder, "dir"), join(folder, "dir/sub")));
  },

  async "a directory onto its ancestor is ENOTEMPTY"(folder) {
    await using me = await startProcess();
    await me.mkdir(join(folder, "dir"));
    await me.mkdir(join(folder, "dir/sub"));
    await refused("ENOTEMPTY", me.rename(join(folder, "dir/sub"), join(folder, "dir")));
  },

  async "a moved directory brings its tree, its parent and its count of links"(folder) {
    await using me = await startProcess();
    for (const name of ["a", "b", "a/moved", "a/moved/sub"]) await me.mkdir(join(folder, name));
    await writeFile(join(folder, "a/moved/file"), "content");
    await me.rename(join(folder, "a/moved"), join(folder, "b/moved"));
    assert.equal(await readFile(join(folder, "b/moved/file"), "utf8"), "content");
    assert.equal((await me.stat(join(folder, "a"))).nlink, 2);
    assert.equal((await me.stat(join(folder, "b"))).nlink, 3);
    assert.equal((await me.stat(join(folder, "b/moved"))).nlink, 3);
    const above = await me.stat(join(folder, "b/moved/.."));
    assert.equal(above.ino, (await me.stat(join(folder, "b"))).ino);
  },

  async "a directory that replaces another takes its place in the count of links"(folder) {
    await using me = await startProcess();
    for (const name of ["a", "b", "a/x", "b/y"]) await me.mkdir(join(folder, name));
    await me.rename(join(folder, "a/x"), join(folder, "b/y"));
    assert.equal((await me.stat(join(folder, "a"))).nlink, 2);
    assert.equal((await me.stat(join(folder, "b"))).nlink, 3);
    assert.equal((await me.stat(folder)).nlink, 4);
  },

  async "a directory moved while somebody stands in it stays his"(folder) {
    await using me = await startProcess();
    await me.mkdir(join(folder, "dir"));
    await me.chdir(join(folder, "dir"));
    await me.rename(join(folder, "dir"), join(folder, "moved"));
    await me.close(await me.open("file", O_CREAT | O_WRONLY, 0o644));
    assert.equal(await me.getcwd(), join(folder, "moved"));
    assert.deepEqual(await readdir(join(folder, "moved")), ["file"]);
  },

  async "a directory moved to another parent needs to be writable itself"(folder) {
    await using root = await startProcess();
    await using alice = await startProcess(ALICE);
    for (const name of ["a", "b"]) {
      await root.mkdir(join(folder, name));
      await root.chmod(join(folder, name), 0o777);
    }
    await alice.mkdir(join(folder, "a/dir"), 0o555);
    await alice.rename(join(folder, "a/dir"), join(folder, "a/renamed"));
    await refused("EACCES", alice.rename(join(folder, "a/renamed"), join(folder, "b/dir")));
    await alice.chmod(join(folder, "a/renamed"), 0o755);
    await alice.rename(join(folder, "a/renamed"), join(folder, "b/dir"));
  },

  async "the ancestors of a moved tree are asked, however deep it goes"(folder) {
    await using me = await startProcess();
    const deep = ["a", "a/b", "a/b/c", "a/b/c/d", "a/b/c/d/e"];
    for (const name of deep) await me.mkdir(join(folder, name));
    await refused("EINVAL", me.rename(join(folder, "a"), join(folder, "a/b/c/d/e/a")));
    await me.rename(join(folder, "a/b/c"), join(folder, "c"));
    await me.rename(join(folder, "a"), join(folder, "c/d/e/a"));
    await refused("EINVAL", me.rename(join(folder, "c"), join(folder, "c/d/e/a/b/c")));
  },
};

const others: Rules = {
  async "two names of one file stay when one is renamed to the other"(folder) {
    await using me = await startProcess();
    const [a, b] = [join(folder, "a"), join(folder, "b")];
    await writeFile(a, "content");
    await me.link(a, b);
    await me.rename(a, b);
    assert.deepEqual((await readdir(folder)).toSorted(), ["a", "b"]);
    assert.equal((await me.stat(a)).nlink, 2);
  },

  async "a replaced file lives on for who has it open"(folder) {
    await using me = await startProcess();
    const [a, b] = [join(folder, "a"), join(folder, "b")];
    await writeFile(a, "new");
    await writeFile(b, "old");
    const fd = await me.open(b, O_RDONLY);
    await me.rename(a, b);
    assert.equal((await me.read(fd, 10)).toString(), "old");
    assert.equal((await me.fstat(fd)).nlink, 0);
    assert.equal(await readFile(b, "utf8"), "new");
  },

  async "a replaced name takes one link from its file"(folder) {
    await using me = await startProcess();
    const [a, b, c] = [join(folder, "a"), join(folder, "b"), join(folder, "c")];
    await writeFile(a, "new");
    await writeFile(b, "old");
    await me.link(b, c);
    await me.rename(a, b);
    assert.equal((await me.stat(c)).nlink, 1);
    assert.equal(await readFile(c, "utf8"), "old");
  },

  async "a hard-linked file moved between directories keeps its links"(folder) {
    await using me = await startProcess();
    await me.mkdir(join(folder, "a"));
    await me.mkdir(join(folder, "b"));
    await writeFile(join(folder, "a/one"), "content");
    await me.link(join(folder, "a/one"), join(folder, "a/two"));
    await me.rename(join(folder, "a/one"), join(folder, "b/one"));
    assert.equal((await me.stat(join(folder, "b/one"))).nlink, 2);
    await me.unlink(join(folder, "a/two"));
    assert.equal((await me.stat(join(folder, "b/one"))).nlink, 1);
  },

  async "an open file is written on after its move"(folder) {
    await using me = await startProcess();
    const fd = await me.open(join(folder, "a"), O_CREAT | O_RDWR, 0o644);
    await me.write(fd, Buffer.from("before "));
    await me.rename(join(folder, "a"), join(folder, "b"));
    await me.write(fd, Buffer.from("after"));
    await me.close(fd);
    assert.equal(await readFile(join(folder, "b"), "utf8"), "before after");
  },

  async "NOREPLACE refuses a name that is there"(folder) {
    await using me = await startProcess();
    const [a, b] = [join(folder, "a"), join(folder, "b")];
    await writeFile(a, "a");
    await writeFile(b, "b");
    await refused("EEXIST", me.renameat2(a, b, RENAME_NOREPLACE));
    await refused("EEXIST", me.renameat2(a, a, RENAME_NOREPLACE));
    await me.unlink(b);
    await me.renameat2(a, b, RENAME_NOREPLACE);
    assert.equal(await readFile(b, "utf8"), "a");
  },

  async "EXCHANGE needs both names"(folder) {
    await using me = await startProcess();
    await writeFile(join(folder, "a"), "");
    await refused("ENOENT", me.renameat2(join(folder, "a"), join(folder, "b"), RENAME_EXCHANGE));
    await refused("ENOENT", me.renameat2(join(folder, "b"), join(folder, "a"), RENAME_EXCHANGE));
  },

  async "EXCHANGE of directories changes both parents' counts"(folder) {
    await using me = await startProcess();
    for (const name of ["a", "b", "a/dir", "a/dir/sub"]) await me.mkdir(join(folder, name));
    await writeFile(join(folder, "b/file"), "");
    await me.renameat2(join(folder, "a/dir"), join(folder, "b/file"), RENAME_EXCHANGE);
    assert.equal((await me.stat(join(folder, "a"))).nlink, 2);
    assert.equal((await me.stat(join(folder, "b"))).nlink, 3);
    assert.equal((await me.stat(join(folder, "a/dir"))).mode & S_IFMT, S_IFREG);
    assert.equal(
      (await me.stat(join(folder, "b/file/.."))).ino,
      (await me.stat(join(folder, "b"))).ino,
    );
  },

  async "EXCHANGE refuses to put a directory below itself"(folder) {
    await using me = await startProcess();
    for (const name of ["a", "a/b", "a/b/c"]) await me.mkdir(join(folder, name));
    const [a, c] = [join(folder, "a"), join(folder, "a/b/c")];
    await refused("EINVAL", me.renameat2(a, c, RENAME_EXCHANGE));
    await refused("EINVAL", me.renameat2(c, a, RENAME_EXCHANGE));
  },

  async "EXCHANGE in one directory swaps two names"(folder) {
    await using me = await startProcess();
    await writeFile(join(folder, "file"), "content");
    await me.symlink("nowhere", join(folder, "link"));
    await me.renameat2(join(folder, "file"), join(folder, "link"), RENAME_EXCHANGE);
    assert.equal((await me.lstat(join(folder, "file"))).mode & S_IFMT, S_IFLNK);
    assert.equal(await readFile(join(folder, "link"), "utf8"), "content");
  },

  async "WHITEOUT leaves a character device 0:0 in the old place"(folder) {
    await using me = await startProcess();
    const [a, b] = [join(folder, "a"), join(folder, "b")];
    await writeFile(a, "content");
    await writeFile(b, "old");
    await me.renameat2(a, b, RENAME_WHITEOUT);
    const { mode, rdev, nlink } = await me.lstat(a);
    assert.deepEqual([mode & S_IFMT, rdev, nlink], [S_IFCHR, 0, 1]);
    assert.equal(await readFile(b, "utf8"), "content");
    await me.unlink(a);
    await refused("EEXIST", me.renameat2(b, b, RENAME_WHITEOUT | RENAME_NOREPLACE));
    await me.renameat2(b, a, RENAME_WHITEOUT | RENAME_NOREPLACE);
    assert.equal((await me.lstat(b)).mode & S_IFMT, S_IFCHR);
  },

  async "WHITEOUT of a directory leaves a device, and the count of links is right"(folder) {
    await using me = await startProcess();
    await me.mkdir(join(folder, "from"));
    await me.mkdir(join(folder, "from/dir"));
    await me.mkdir(join(folder, "to"));
    await me.renameat2(join(folder, "from/dir"), join(folder, "to/dir"), RENAME_WHITEOUT);
    assert.equal((await me.lstat(join(folder, "from/dir"))).mode & S_IFMT, S_IFCHR);
    assert.equal((await me.lstat(join(folder, "to/dir"))).mode & S_IFMT, S_IFDIR);
    assert.equal((await me.stat(join(folder, "from"))).nlink, 2);
    assert.equal((await me.stat(join(folder, "to"))).nlink, 3);
  },

  async "flags that exclude each other or are unknown are EINVAL"(folder) {
    await using me = await startProcess();
    const [a, b] = [join(folder, "a"), join(folder, "b")];
    await writeFile(a, "");
    await writeFile(b, "");
    await refused("EINVAL", me.renameat2(a, b, RENAME_EXCHANGE | RENAME_NOREPLACE));
    await refused("EINVAL", me.renameat2(a, b, RENAME_EXCHANGE | RENAME_WHITEOUT));
    await refused("EINVAL", me.renameat2(a, b, 8));
  },

  async "both directories must be writable"(folder) {
    await using root = await startProcess();
    await using alice = await startProcess(ALICE);
    for (const name of ["open", "closed"]) await root.mkdir(join(folder, name));
    await root.chmod(join(folder, "open"), 0o777);
    await writeFile(join(folder, "open/file"), "");
    await writeFile(join(folder, "closed/file"), "");
    await refused("EACCES", alice.rename(join(folder, "closed/file"), join(folder, "open/new")));
    await refused("EACCES", alice.rename(join(folder, "open/file"), join(folder, "closed/new")));
    await alice.rename(join(folder, "open/file"), join(folder, "open/new"));
  },

  async "in a sticky directory only owners rename and replace"(folder) {
    await using root = await startProcess();
    await using alice = await startProcess(ALICE);
    await using bob = await startProcess(BOB);
    await root.chmod(folder, 0o1777);
    for (const [me, name] of [
      [alice, "alice"],
      [bob, "bob"],
    ] as const) {
      await me.close(await me.open(join(folder, name), O_CREAT | O_WRONLY, 0o666));
    }
    await refused("EPERM", bob.rename(join(folder, "alice"), join(folder, "stolen")));
    await refused("EPERM", bob.rename(join(folder, "bob"), join(folder, "alice")));
    await refused(
      "EPERM",
      bob.renameat2(join(folder, "bob"), join(folder, "alice"), RENAME_EXCHANGE),
    );
    await alice.rename(join(folder, "alice"), join(folder, "own"));
    await root.rename(join(folder, "own"), join(folder, "roots"));
  },

  async "a failed rename changes nothing"(folder) {
    await using me = await startProcess();
    await me.mkdir(join(folder, "dir"));
    await writeFile(join(folder, "dir/file"), "");
    await writeFile(join(folder, "file"), "");
    const before = [
      await me.stat(folder),
      await me.stat(join(folder, "dir")),
      await me.stat(join(folder, "file")),
    ];
    await refused("EISDIR", me.rename(join(folder, "file"), join(folder, "dir")));
    await refused("ENOTDIR", me.rename(join(folder, "dir"), join(folder, "file")));
    await refused("ENOENT", me.rename(join(folder, "none"), join(folder, "file")));
    const after = [
      await me.stat(folder),
      await me.stat(join(folder, "dir")),
      await me.stat(join(folder, "file")),
    ];
    assert.deepEqual(after, before);
  },
};

export const renames: Rules = { ...moving, ...replacing, ...directories, ...others };
