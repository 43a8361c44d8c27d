import assert from "node:assert/strict";
import { chmod, chown, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { refused, type Rule, type Rules } from "./rules.ts";
import {
  O_CREAT,
  O_NOATIME,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  R_OK,
  S_IFCHR,
  S_IFIFO,
  S_IFSOCK,
  UTIME_NOW,
  UTIME_OMIT,
  W_OK,
  X_OK,
  type TimeSpec,
} from "./support/calls.ts";
import {
  ALICE,
  BOB,
  CAROL,
  ROOT,
  startProcess,
  type Credentials,
  type TestProcess,
} from "./support/process.ts";

/** Who may do what: modes, owners, groups, the sticky bit. */

/** A file of Alice and her group; Carol is in the group, Bob is not. */
const CLASSES: readonly [string, Credentials, number][] = [
  ["the owner", ALICE, 6],
  ["a member of the group", CAROL, 3],
  ["somebody else", BOB, 0],
];

async function makeFile(folder: string, mode: number, who: Credentials = ALICE): Promise<string> {
  const path = join(folder, "file");
  await writeFile(path, "content");
  await chown(path, who.uid, who.gid);
  await chmod(path, mode);
  return path;
}

const OPENS: readonly [string, number, number][] = [
  ["read", R_OK, O_RDONLY],
  ["write", W_OK, O_WRONLY],
  ["read and write", R_OK | W_OK, O_RDWR],
];

const files: Rules = Object.fromEntries(
  CLASSES.flatMap(([who, credentials, shift]) =>
    OPENS.map(([what, bits, flags]): [string, Rule] => [
      `${who} may ${what} a file by the bits of his class alone`,
      async (folder) => {
        await using me = await startProcess(credentials);
        const own = bits << shift;
        const path = await makeFile(folder, own);
        await me.close(await me.open(path, flags));
        await me.access(path, bits);
        // What the other classes may do helps nobody.
        await chmod(path, 0o777 & ~own);
        await refused("EACCES", me.open(path, flags));
        await refused("EACCES", me.access(path, bits));
      },
    ]),
  ),
);

const DIRECTORY: readonly [string, number, (me: TestProcess, dir: string) => Promise<unknown>][] = [
  ["list", R_OK, (me, dir) => me.listdir(dir)],
  ["look up a name in", X_OK, (me, dir) => me.stat(join(dir, "file"))],
  ["enter", X_OK, (me, dir) => me.chdir(dir)],
  ["make a name in", W_OK | X_OK, (me, dir) => me.mkdir(join(dir, "new"))],
  ["remove a name from", W_OK | X_OK, (me, dir) => me.unlink(join(dir, "file"))],
  ["rename a name in", W_OK | X_OK, (me, dir) => me.rename(join(dir, "file"), join(dir, "new"))],
  ["remove a directory from", W_OK | X_OK, (me, dir) => me.rmdir(join(dir, "sub"))],
];

async function makeDirectory(folder: string, mode: number): Promise<string> {
  const dir = join(folder, "dir");
  await mkdir(dir);
  await writeFile(join(dir, "file"), "");
  await mkdir(join(dir, "sub"));
  await chown(dir, ALICE.uid, ALICE.gid);
  await chmod(dir, mode);
  return dir;
}

const directories: Rules = Object.fromEntries(
  CLASSES.flatMap(([who, credentials, shift]) =>
    DIRECTORY.map(([what, bits, act]): [string, Rule] => [
      `${who} may ${what} a directory by the bits of his class`,
      async (folder) => {
        await using me = await startProcess(credentials);
        const own = bits << shift;
        const dir = await makeDirectory(folder, 0o777 & ~own);
        await refused("EACCES", act(me, dir));
        await chmod(dir, own);
        await act(me, dir);
      },
    ]),
  ),
);

const sticky: Rules = Object.fromEntries(
  (
    [
      ["the owner of the file", ALICE, undefined],
      ["the owner of the directory", BOB, undefined],
      ["root", ROOT, undefined],
      ["somebody else", CAROL, "EPERM"],
    ] as const
  ).flatMap(([who, credentials, code]) =>
    (["unlink", "rmdir", "rename", "rename over"] as const).map((what): [string, Rule] => [
      `${what} in a sticky directory: ${who} ${code === undefined ? "may" : "may not"}`,
      async (folder) => {
        await using me = await startProcess(credentials);
        const dir = join(folder, "dir");
        await mkdir(dir);
        await writeFile(join(dir, "file"), "");
        await mkdir(join(dir, "sub"));
        for (const name of ["file", "sub"]) await chown(join(dir, name), ALICE.uid, ALICE.gid);
        await writeFile(join(dir, "own"), "");
        await chown(join(dir, "own"), credentials.uid, credentials.gid);
        await chown(dir, BOB.uid, BOB.gid);
        await chmod(dir, 0o1777);
        const done = {
          unlink: () => me.unlink(join(dir, "file")),
          rmdir: () => me.rmdir(join(dir, "sub")),
          rename: () => me.rename(join(dir, "file"), join(dir, "moved")),
          "rename over": () => me.rename(join(dir, "own"), join(dir, "file")),
        }[what]();
        await (code === undefined ? done : refused(code, done));
      },
    ]),
  ),
);

const creating: Rules = {
  async "the umask takes bits away from what is made"(folder) {
    await using me = await startProcess({ ...ROOT, umask: 0o027 });
    await me.close(await me.open(join(folder, "file"), O_CREAT | O_WRONLY, 0o666));
    await me.mkdir(join(folder, "dir"), 0o777);
    await me.mknod(join(folder, "fifo"), S_IFIFO | 0o666);
    const modes = await Promise.all(
      ["file", "dir", "fifo"].map(
        async (name) => (await me.stat(join(folder, name))).mode & 0o7777,
      ),
    );
    assert.deepEqual(modes, [0o640, 0o750, 0o640]);
  },

  async "a file can be made with a mode that its maker could not open it with"(folder) {
    await using me = await startProcess(ALICE);
    await chmod(folder, 0o777);
    const fd = await me.open(join(folder, "file"), O_CREAT | O_RDWR, 0o000);
    await me.write(fd, Buffer.from("content"));
    assert.equal((await me.pread(fd, 10, 0)).toString(), "content");
    await refused("EACCES", me.open(join(folder, "file"), O_RDONLY));
  },

  async "special bits can be asked for when a file is made"(folder) {
    await using me = await startProcess({ ...ROOT, umask: 0 });
    await me.close(await me.open(join(folder, "file"), O_CREAT | O_WRONLY, 0o6755));
    await me.mkdir(join(folder, "dir"), 0o1777);
    assert.equal((await me.stat(join(folder, "file"))).mode & 0o7777, 0o6755);
    assert.equal((await me.stat(join(folder, "dir"))).mode & 0o7777, 0o1777);
  },

  async "what is made belongs to its maker and his group"(folder) {
    await chmod(folder, 0o777);
    await using me = await startProcess(CAROL);
    await me.mkdir(join(folder, "dir"));
    await me.close(await me.open(join(folder, "file"), O_CREAT | O_WRONLY, 0o644));
    for (const name of ["dir", "file"]) {
      const { uid, gid } = await me.stat(join(folder, name));
      assert.deepEqual([uid, gid], [CAROL.uid, CAROL.gid]);
    }
  },

  async "a directory with the setgid bit gives its group on, and the bit to directories"(folder) {
    await chown(folder, 0, ALICE.gid);
    await chmod(folder, 0o2777);
    await using me = await startProcess(BOB);
    await me.mkdir(join(folder, "dir"));
    await me.close(await me.open(join(folder, "file"), O_CREAT | O_WRONLY, 0o644));
    await me.symlink("nowhere", join(folder, "link"));
    await me.mkfifo(join(folder, "fifo"));
    for (const name of ["dir", "file", "link", "fifo"]) {
      assert.equal((await me.lstat(join(folder, name))).gid, ALICE.gid, name);
    }
    assert.equal((await me.stat(join(folder, "dir"))).mode & 0o7000, 0o2000);
    assert.equal((await me.stat(join(folder, "file"))).mode & 0o7000, 0);
  },

  async "a setgid program cannot be made in a group the maker is not in"(folder) {
    await chown(folder, 0, ALICE.gid);
    await chmod(folder, 0o2777);
    await using bob = await startProcess({ ...BOB, umask: 0 });
    await using carol = await startProcess({ ...CAROL, umask: 0 });
    await bob.close(await bob.open(join(folder, "bob"), O_CREAT | O_WRONLY, 0o2775));
    await carol.close(await carol.open(join(folder, "carol"), O_CREAT | O_WRONLY, 0o2775));
    assert.equal((await bob.stat(join(folder, "bob"))).mode & 0o7777, 0o775);
    assert.equal((await bob.stat(join(folder, "carol"))).mode & 0o7777, 0o2775);
  },

  async "O_CREAT on a file that is there asks for its own bits"(folder) {
    const path = await makeFile(folder, 0o444);
    await chmod(folder, 0o777);
    await using me = await startProcess(ALICE);
    await refused("EACCES", me.open(path, O_CREAT | O_WRONLY, 0o644));
    await me.close(await me.open(path, O_CREAT | O_RDONLY, 0o644));
  },

  async "only root makes devices"(folder) {
    await chmod(folder, 0o777);
    await using me = await startProcess(ALICE);
    await refused("EPERM", me.mknod(join(folder, "null"), S_IFCHR | 0o666, 0x0103));
    await me.mknod(join(folder, "fifo"), S_IFIFO | 0o666);
    await me.mknod(join(folder, "socket"), S_IFSOCK | 0o666);
  },
};

const modes: Rules = {
  async "only the owner and root change a mode"(folder) {
    const path = await makeFile(folder, 0o666);
    await using alice = await startProcess(ALICE);
    await using carol = await startProcess(CAROL);
    await using root = await startProcess();
    await refused("EPERM", carol.chmod(path, 0o644));
    await alice.chmod(path, 0o600);
    await root.chmod(path, 0o4711);
    assert.equal((await root.stat(path)).mode & 0o7777, 0o4711);
  },

  async "every one of the twelve bits can be set and taken away"(folder) {
    const path = await makeFile(folder, 0);
    await using root = await startProcess();
    for (let bit = 1; bit < 0o10000; bit <<= 1) {
      await root.chmod(path, bit);
      assert.equal((await root.stat(path)).mode & 0o7777, bit);
    }
    await root.chmod(folder, 0o7777);
    assert.equal((await root.stat(folder)).mode & 0o7777, 0o7777);
    await root.chmod(folder, 0o755);
  },

  async "an owner outside the file's group cannot give it the setgid bit"(folder) {
    const path = await makeFile(folder, 0o755);
    await chown(path, ALICE.uid, BOB.gid);
    await using alice = await startProcess(ALICE);
    await alice.chmod(path, 0o6755);
    assert.equal((await alice.stat(path)).mode & 0o7777, 0o4755);
    await chown(path, ALICE.uid, ALICE.gid);
    await alice.chmod(path, 0o6755);
    assert.equal((await alice.stat(path)).mode & 0o7777, 0o6755);
  },

  async "an owner who is in the file's group by a supplementary one keeps the setgid bit"(folder) {
    const path = await makeFile(folder, 0o755);
    await chown(path, CAROL.uid, ALICE.gid);
    await using carol = await startProcess(CAROL);
    await carol.chmod(path, 0o2755);
    assert.equal((await carol.stat(path)).mode & 0o7777, 0o2755);
  },

  async "a descriptor opened for reading is enough to change the mode"(folder) {
    const path = await makeFile(folder, 0o644);
    await using alice = await startProcess(ALICE);
    const fd = await alice.open(path, O_RDONLY);
    await alice.fchmod(fd, 0o600);
    assert.equal((await alice.fstat(fd)).mode & 0o7777, 0o600);
    await refused("EBADF", alice.fchmod(await alice.open(path, O_PATH), 0o644));
  },

  async "an open descriptor does what it was opened for, whatever the mode becomes"(folder) {
    const path = await makeFile(folder, 0o644);
    await using alice = await startProcess(ALICE);
    const fd = await alice.open(path, O_RDWR);
    await alice.chmod(path, 0);
    await alice.write(fd, Buffer.from("CON"));
    assert.equal((await alice.pread(fd, 10, 0)).toString(), "CONtent");
  },
};

const owners: Rules = {
  async "only root gives a file away"(folder) {
    const path = await makeFile(folder, 0o644);
    await using alice = await startProcess(ALICE);
    await refused("EPERM", alice.chown(path, BOB.uid, -1));
    await using bob = await startProcess(BOB);
    await refused("EPERM", bob.chown(path, BOB.uid, -1));
    await using root = await startProcess();
    await root.chown(path, BOB.uid, BOB.gid);
    const { uid, gid } = await root.stat(path);
    assert.deepEqual([uid, gid], [BOB.uid, BOB.gid]);
  },

  async "an owner gives a file to groups he is in, and to no others"(folder) {
    const path = await makeFile(folder, 0o644, CAROL);
    await using carol = await startProcess(CAROL);
    await carol.chown(path, -1, ALICE.gid);
    assert.equal((await carol.stat(path)).gid, ALICE.gid);
    await refused("EPERM", carol.chown(path, -1, BOB.gid));
    await carol.chown(path, CAROL.uid, CAROL.gid);
  },

  async "an owner may change nothing, and -1 leaves things as they are"(folder) {
    const path = await makeFile(folder, 0o644);
    await using alice = await startProcess(ALICE);
    await alice.chown(path, -1, -1);
    await alice.chown(path, ALICE.uid, ALICE.gid);
    await using root = await startProcess();
    await root.chown(path, BOB.uid, -1);
    await root.chown(path, -1, CAROL.gid);
    const { uid, gid } = await root.stat(path);
    assert.deepEqual([uid, gid], [BOB.uid, CAROL.gid]);
  },

  async "numbers of users and groups may have 32 bits"(folder) {
    const path = await makeFile(folder, 0o644);
    await using root = await startProcess();
    await root.chown(path, 4294967294, 4294967293);
    const { uid, gid } = await root.stat(path);
    assert.deepEqual([uid, gid], [4294967294, 4294967293]);
  },

  async "a change of owner takes suid and sgid from a program"(folder) {
    const path = await makeFile(folder, 0o6755);
    await using root = await startProcess();
    await root.chown(path, BOB.uid, BOB.gid);
    assert.equal((await root.stat(path)).mode & 0o7777, 0o755);
    await root.chmod(path, 0o6755);
    await root.chown(path, BOB.uid, BOB.gid);
    assert.equal((await root.stat(path)).mode & 0o7777, 0o755);
  },

  async "a chown that names no owner takes suid and sgid from a program all the same"(folder) {
    const path = await makeFile(folder, 0o6755);
    await using root = await startProcess();
    await root.chown(path, -1, -1);
    assert.equal((await root.stat(path)).mode & 0o7777, 0o755);
    await root.chmod(path, 0o6755);
    await using alice = await startProcess(ALICE);
    const fd = await alice.open(path, O_RDONLY);
    await alice.fchown(fd, -1, -1);
    assert.equal((await alice.stat(path)).mode & 0o7777, 0o755);
  },

  async "a chown by somebody else takes nothing"(folder) {
    const path = await makeFile(folder, 0o6755);
    await using bob = await startProcess(BOB);
    await bob.chown(path, -1, -1).catch(() => undefined);
    assert.equal((await bob.stat(path)).mode & 0o7777, 0o6755);
  },

  async "a change of group by its owner takes suid and sgid from a program"(folder) {
    const path = await makeFile(folder, 0o6755, CAROL);
    await using carol = await startProcess(CAROL);
    await carol.chown(path, -1, ALICE.gid);
    assert.equal((await carol.stat(path)).mode & 0o7777, 0o755);
  },

  async "sgid without the group's x bit is no program and stays when root changes the owner"(
    folder,
  ) {
    const path = await makeFile(folder, 0o2644);
    await using root = await startProcess();
    await root.chown(path, BOB.uid, BOB.gid);
    assert.equal((await root.stat(path)).mode & 0o7777, 0o2644);
  },

  async "sgid without the group's x bit goes when its owner is not in the group"(folder) {
    const path = await makeFile(folder, 0o2644, CAROL);
    await chown(path, CAROL.uid, BOB.gid);
    await chmod(path, 0o2644);
    await using carol = await startProcess(CAROL);
    await carol.chown(path, -1, ALICE.gid);
    assert.equal((await carol.stat(path)).mode & 0o7777, 0o644);
  },

  async "sgid without the group's x bit stays when its owner is in the group"(folder) {
    const path = await makeFile(folder, 0o2644, CAROL);
    await using carol = await startProcess(CAROL);
    await carol.chown(path, -1, ALICE.gid);
    assert.equal((await carol.stat(path)).mode & 0o7777, 0o2644);
  },

  async "a directory keeps its special bits when it changes owner"(folder) {
    await using root = await startProcess();
    const dir = join(folder, "dir");
    await root.mkdir(dir);
    await root.chmod(dir, 0o7755);
    await root.chown(dir, BOB.uid, BOB.gid);
    assert.equal((await root.stat(dir)).mode & 0o7777, 0o7755);
  },
};

const clearing: Rules = Object.fromEntries(
  (
    [
      ["a write", async (me, path) => writeOne(me, path, 0)],
      ["a write at the end", async (me, path) => writeOne(me, path, 100)],
      ["a truncation", async (me, path) => me.truncate(path, 3)],
      [
        "a truncation by descriptor",
        async (me, path) => me.ftruncate(await me.open(path, O_WRONLY), 3),
      ],
      [
        "an opening with O_TRUNC",
        async (me, path) => me.close(await me.open(path, O_WRONLY | O_TRUNC)),
      ],
      ["fallocate", async (me, path) => me.fallocate(await me.open(path, O_WRONLY), 0, 0, 100)],
    ] as [string, (me: TestProcess, path: string) => Promise<unknown>][]
  ).flatMap(([what, act]): [string, Rule][] => [
    [
      `${what} by somebody takes suid and sgid`,
      async (folder) => {
        const path = await makeFile(folder, 0o6777);
        await using bob = await startProcess(BOB);
        await act(bob, path);
        assert.equal((await bob.stat(path)).mode & 0o7777, 0o777);
      },
    ],
    [
      `${what} by its owner takes suid and sgid`,
      async (folder) => {
        const path = await makeFile(folder, 0o6777);
        await using alice = await startProcess(ALICE);
        await act(alice, path);
        assert.equal((await alice.stat(path)).mode & 0o7777, 0o777);
      },
    ],
    [
      `${what} by root leaves suid and sgid`,
      async (folder) => {
        const path = await makeFile(folder, 0o6777);
        await using root = await startProcess();
        await act(root, path);
        assert.equal((await root.stat(path)).mode & 0o7777, 0o6777);
      },
    ],
  ]),
);

async function writeOne(me: TestProcess, path: string, offset: number): Promise<void> {
  const fd = await me.open(path, O_WRONLY);
  await me.pwrite(fd, Buffer.from("x"), offset);
  await me.close(fd);
}

const NOWS: [TimeSpec, TimeSpec] = [
  [0, UTIME_NOW],
  [0, UTIME_NOW],
];
const THEN: [TimeSpec, TimeSpec] = [
  [1_600_000_000, 1],
  [1_600_000_001, 2],
];

const settingTimes: Rules = {
  async "times of one's choice are the owner's and root's to set"(folder) {
    const path = await makeFile(folder, 0o666);
    await using alice = await startProcess(ALICE);
    await using bob = await startProcess(BOB);
    await using root = await startProcess();
    await alice.utimensat(path, ...THEN);
    await refused("EPERM", bob.utimensat(path, ...THEN));
    await root.utimensat(path, ...THEN);
  },

  async "the time of now is set by whoever may write"(folder) {
    const path = await makeFile(folder, 0o646);
    await using bob = await startProcess(BOB);
    await using carol = await startProcess(CAROL);
    await bob.utimensat(path, ...NOWS);
    await refused("EACCES", carol.utimensat(path, ...NOWS));
  },

  async "an owner sets times though he may not write"(folder) {
    const path = await makeFile(folder, 0o000);
    await using alice = await startProcess(ALICE);
    await alice.utimensat(path, ...THEN);
    await alice.utimensat(path, ...NOWS);
  },

  async "one of two times is the owner's to set"(folder) {
    const path = await makeFile(folder, 0o666);
    await using bob = await startProcess(BOB);
    await refused("EPERM", bob.utimensat(path, [0, UTIME_OMIT], [0, UTIME_NOW]));
    await refused("EPERM", bob.utimensat(path, [0, UTIME_NOW], THEN[1]));
    await bob.utimensat(path, [0, UTIME_OMIT], [0, UTIME_OMIT]);
  },
};

const root: Rules = {
  async "root reads and writes whatever the mode says"(folder) {
    const path = await makeFile(folder, 0);
    await using me = await startProcess();
    await me.close(await me.open(path, O_RDWR));
    await me.access(path, R_OK | W_OK);
    const dir = await makeDirectory(folder, 0);
    assert.equal((await me.listdir(dir)).length, 2);
    await me.mkdir(join(dir, "new"));
  },

  async "root executes a file only where somebody may"(folder) {
    const path = await makeFile(folder, 0o666);
    await using me = await startProcess();
    await refused("EACCES", me.access(path, X_OK));
    await chmod(path, 0o001);
    await me.access(path, X_OK);
  },

  async "a program runs for whom it may be executed by"(folder) {
    const path = join(folder, "program");
    await writeFile(path, "#!/bin/sh\necho ran\n");
    await chown(path, ALICE.uid, ALICE.gid);
    await using alice = await startProcess(ALICE);
    await using bob = await startProcess(BOB);
    await chmod(path, 0o744);
    assert.equal((await alice.run([path])).stdout, "ran\n");
    await refused("EACCES", bob.run([path]));
    await chmod(path, 0o755);
    assert.equal((await bob.run([path])).stdout, "ran\n");
  },

  async "a set-user-id program runs as its owner"(folder) {
    await using me = await startProcess();
    const path = join(folder, "id");
    await me.run(["cp", "/usr/bin/id", path]);
    await me.chown(path, BOB.uid, BOB.gid);
    await me.chmod(path, 0o6755);
    await using alice = await startProcess(ALICE);
    const { stdout } = await alice.run([path]);
    assert.match(stdout, /euid=1002/);
    assert.match(stdout, /egid=1002/);
  },

  async "O_NOATIME is for owners"(folder) {
    const path = await makeFile(folder, 0o644);
    await using alice = await startProcess(ALICE);
    await using bob = await startProcess(BOB);
    await alice.close(await alice.open(path, O_RDONLY | O_NOATIME));
    await refused("EPERM", bob.open(path, O_RDONLY | O_NOATIME));
  },

  async "O_TRUNC needs the right to write"(folder) {
    const path = await makeFile(folder, 0o444);
    await using bob = await startProcess(BOB);
    await refused("EACCES", bob.open(path, O_RDONLY | O_TRUNC));
    await refused("EACCES", bob.truncate(path, 0));
    assert.equal((await bob.stat(path)).size, 7);
  },

  async "access asks for the real user"(folder) {
    const path = await makeFile(folder, 0o600);
    await using bob = await startProcess(BOB);
    await bob.access(path, 0);
    await refused("EACCES", bob.access(path, R_OK));
    await refused("ENOENT", bob.access(join(folder, "none"), 0));
  },
};

export const permissions: Rules = {
  ...files,
  ...directories,
  ...sticky,
  ...creating,
  ...modes,
  ...owners,
  ...clearing,
  ...settingTimes,
  ...root,
};
