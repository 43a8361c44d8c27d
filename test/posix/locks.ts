import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { refused, type Rules } from "./rules.ts";
import {
  F_GETLK,
  F_OFD_GETLK,
  F_OFD_SETLK,
  F_RDLCK,
  F_SETLK,
  F_SETLKW,
  F_UNLCK,
  F_WRLCK,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
} from "./support/calls.ts";
import { startProcess, type TestProcess } from "./support/process.ts";

/** flock(2), and fcntl(2) on ranges: of processes, and of open files. */

async function twoWith(
  folder: string,
): Promise<{ one: TestProcess; two: TestProcess; a: number; b: number } & AsyncDisposable> {
  const path = join(folder, "file");
  await writeFile(path, Buffer.alloc(1000));
  const [one, two] = [await startProcess(), await startProcess()];
  return {
    ...{ one, two, a: await one.open(path, O_RDWR), b: await two.open(path, O_RDWR) },
    async [Symbol.asyncDispose]() {
      await one[Symbol.asyncDispose]();
      await two[Symbol.asyncDispose]();
    },
  };
}

/** What `of` sees in the way of a write lock of everything. */
async function conflict(of: TestProcess, fd: number): Promise<[number, number, number] | "none"> {
  const { type, start, length } = await of.lock(fd, F_GETLK, F_WRLCK, 0, 0);
  return type === F_UNLCK ? "none" : [type, start, length];
}

const whole: Rules = {
  async "an exclusive flock keeps everybody else out"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.flock(a, LOCK_EX);
    await refused("EAGAIN", two.flock(b, LOCK_EX | LOCK_NB));
    await refused("EAGAIN", two.flock(b, LOCK_SH | LOCK_NB));
    await one.flock(a, LOCK_UN);
    await two.flock(b, LOCK_EX | LOCK_NB);
  },

  async "shared flocks get on with each other"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.flock(a, LOCK_SH);
    await two.flock(b, LOCK_SH | LOCK_NB);
    await refused("EAGAIN", two.flock(b, LOCK_EX | LOCK_NB));
    await one.flock(a, LOCK_UN);
    await two.flock(b, LOCK_EX | LOCK_NB);
    await refused("EAGAIN", one.flock(a, LOCK_SH | LOCK_NB));
  },

  async "a flock belongs to the open file: two openings of one process are two"(folder) {
    await using both = await twoWith(folder);
    const { one, a } = both;
    const second = await one.open(join(folder, "file"), O_RDWR);
    await one.flock(a, LOCK_EX);
    await refused("EAGAIN", one.flock(second, LOCK_EX | LOCK_NB));
    const duplicate = await one.dup(a);
    await one.flock(duplicate, LOCK_EX | LOCK_NB);
    await one.close(a);
    await refused("EAGAIN", one.flock(second, LOCK_EX | LOCK_NB));
    await one.close(duplicate);
    await one.flock(second, LOCK_EX | LOCK_NB);
  },

  async "a flock is converted in both directions"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.flock(a, LOCK_EX);
    await one.flock(a, LOCK_SH);
    await two.flock(b, LOCK_SH | LOCK_NB);
    await two.flock(b, LOCK_UN);
    await one.flock(a, LOCK_EX | LOCK_NB);
    await refused("EAGAIN", two.flock(b, LOCK_SH | LOCK_NB));
  },

  async "a waiter gets the flock when its holder lets go"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.flock(a, LOCK_EX);
    let got = false;
    const waiting = two.flock(b, LOCK_EX).then(() => (got = true));
    await sleep(100);
    assert.equal(got, false);
    await one.flock(a, LOCK_UN);
    await waiting;
    await refused("EAGAIN", one.flock(a, LOCK_EX | LOCK_NB));
  },

  async "a waiter gets the flock when its holder dies"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.flock(a, LOCK_EX);
    const waiting = two.flock(b, LOCK_EX);
    await sleep(50);
    process.kill(one.pid, "SIGKILL");
    await waiting;
  },

  async "a signal ends the wait for a flock"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.flock(a, LOCK_EX);
    const waiting = refused("EINTR", two.flock(b, LOCK_EX));
    await sleep(100);
    process.kill(two.pid, "SIGUSR1");
    await waiting;
    await one.flock(a, LOCK_UN);
    await one.flock(a, LOCK_EX | LOCK_NB);
  },

  async "a flock works on a read-only descriptor and on a directory"(folder) {
    await using both = await twoWith(folder);
    const { one, two } = both;
    const mine = await one.open(join(folder, "file"), O_RDONLY);
    const theirs = await two.open(join(folder, "file"), O_RDONLY);
    await one.flock(mine, LOCK_EX);
    await refused("EAGAIN", two.flock(theirs, LOCK_EX | LOCK_NB));
    const [dir, other] = [await one.open(folder, O_RDONLY), await two.open(folder, O_RDONLY)];
    await one.flock(dir, LOCK_EX);
    await refused("EAGAIN", two.flock(other, LOCK_EX | LOCK_NB));
  },

  async "a child shares the flock it inherited"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.flock(a, LOCK_EX);
    await one.fork_holding("flock", a, LOCK_UN);
    await two.flock(b, LOCK_EX | LOCK_NB);
  },

  async "flock and fcntl do not know each other"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.flock(a, LOCK_EX);
    await two.lock(b, F_SETLK, F_WRLCK, 0, 0);
    await refused("EAGAIN", one.lock(a, F_SETLK, F_WRLCK, 0, 1));
    await refused("EAGAIN", two.flock(b, LOCK_SH | LOCK_NB));
  },
};

const ranges: Rules = {
  async "write locks of one range exclude each other, of two ranges not"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.lock(a, F_SETLK, F_WRLCK, 100, 100);
    await refused("EAGAIN", two.lock(b, F_SETLK, F_WRLCK, 150, 10));
    await refused("EAGAIN", two.lock(b, F_SETLK, F_WRLCK, 199, 10));
    await refused("EAGAIN", two.lock(b, F_SETLK, F_WRLCK, 50, 51));
    await refused("EAGAIN", two.lock(b, F_SETLK, F_RDLCK, 150, 1));
    await two.lock(b, F_SETLK, F_WRLCK, 200, 100);
    await two.lock(b, F_SETLK, F_WRLCK, 0, 100);
  },

  async "read locks get on with each other"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.lock(a, F_SETLK, F_RDLCK, 0, 100);
    await two.lock(b, F_SETLK, F_RDLCK, 50, 100);
    await refused("EAGAIN", two.lock(b, F_SETLK, F_WRLCK, 0, 10));
    await two.lock(b, F_SETLK, F_WRLCK, 100, 50);
  },

  async "F_GETLK tells the lock in the way and whose it is"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    assert.equal(await conflict(two, b), "none");
    await one.lock(a, F_SETLK, F_WRLCK, 10, 20);
    const { pid, ...found } = await two.lock(b, F_GETLK, F_RDLCK, 0, 0);
    assert.deepEqual(found, { type: F_WRLCK, start: 10, length: 20 });
    assert.equal(pid, one.pid);
    assert.equal(await conflict(one, a), "none");
    assert.equal((await two.lock(b, F_GETLK, F_RDLCK, 30, 0)).type, F_UNLCK);
  },

  async "a range is split by an unlock in its middle"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.lock(a, F_SETLK, F_WRLCK, 0, 100);
    await one.lock(a, F_SETLK, F_UNLCK, 40, 20);
    await two.lock(b, F_SETLK, F_WRLCK, 40, 20);
    await refused("EAGAIN", two.lock(b, F_SETLK, F_WRLCK, 39, 1));
    await refused("EAGAIN", two.lock(b, F_SETLK, F_WRLCK, 60, 1));
    assert.deepEqual(await conflict(two, b), [F_WRLCK, 0, 40]);
  },

  async "one's own locks are replaced, split and joined by new ones"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.lock(a, F_SETLK, F_WRLCK, 0, 100);
    await one.lock(a, F_SETLK, F_RDLCK, 20, 30);
    await two.lock(b, F_SETLK, F_RDLCK, 20, 30);
    await refused("EAGAIN", two.lock(b, F_SETLK, F_RDLCK, 19, 1));
    await refused("EAGAIN", two.lock(b, F_SETLK, F_RDLCK, 50, 1));
    await two.lock(b, F_SETLK, F_UNLCK, 0, 0);
    await one.lock(a, F_SETLK, F_WRLCK, 20, 30);
    await one.lock(a, F_SETLK, F_WRLCK, 100, 50);
    assert.deepEqual(await conflict(two, b), [F_WRLCK, 0, 150]);
  },

  async "a length of 0 reaches to the end, wherever that will be"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.lock(a, F_SETLK, F_WRLCK, 500, 0);
    await two.lock(b, F_SETLK, F_WRLCK, 0, 500);
    await refused("EAGAIN", two.lock(b, F_SETLK, F_WRLCK, 10n ** 15n, 1));
    const { start, length } = await two.lock(b, F_GETLK, F_WRLCK, 600, 1);
    assert.deepEqual([start, length], [500, 0]);
  },

  async "ranges near 2^63 are ranges like others"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    const far = 2n ** 62n;
    await one.lock(a, F_SETLK, F_WRLCK, far, 1);
    await two.lock(b, F_SETLK, F_WRLCK, far + 1n, 1);
    await two.lock(b, F_SETLK, F_WRLCK, far - 1n, 1);
    await refused("EAGAIN", two.lock(b, F_SETLK, F_WRLCK, far, 1));
    await one.lock(a, F_SETLK, F_WRLCK, 2n ** 63n - 2n, 1);
    await refused("EAGAIN", two.lock(b, F_SETLK, F_WRLCK, 2n ** 63n - 10n, 0));
  },

  async "a negative length locks what lies before"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.lock(a, F_SETLK, F_WRLCK, 100, -10);
    assert.deepEqual(await conflict(two, b), [F_WRLCK, 90, 10]);
    await refused("EINVAL", one.lock(a, F_SETLK, F_WRLCK, 5, -10));
    await one.lseek(a, 0, 2);
    await one.lock(a, F_SETLK, F_UNLCK, 0, 0);
    await one.lock(a, F_SETLK, F_WRLCK, -100, 0, 2);
    assert.deepEqual(await conflict(two, b), [F_WRLCK, 900, 0]);
  },

  async "a lock needs a descriptor that may do what it guards"(folder) {
    await using both = await twoWith(folder);
    const { one } = both;
    const path = join(folder, "file");
    const [reader, writer] = [await one.open(path, O_RDONLY), await one.open(path, O_WRONLY)];
    await refused("EBADF", one.lock(reader, F_SETLK, F_WRLCK, 0, 1));
    await refused("EBADF", one.lock(writer, F_SETLK, F_RDLCK, 0, 1));
    await one.lock(reader, F_SETLK, F_RDLCK, 0, 1);
    await one.lock(writer, F_SETLK, F_WRLCK, 0, 1);
  },

  async "closing any descriptor of the file drops a process's locks on it"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.lock(a, F_SETLK, F_WRLCK, 0, 0);
    const second = await one.open(join(folder, "file"), O_RDONLY);
    assert.deepEqual(await conflict(two, b), [F_WRLCK, 0, 0]);
    await one.close(second);
    assert.equal(await conflict(two, b), "none");
  },

  async "a child does not inherit locks, and its close drops none"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.lock(a, F_SETLK, F_WRLCK, 0, 0);
    await refused("EAGAIN", one.fork_holding("lock", a, F_SETLK, F_WRLCK, 0, 1));
    await one.fork_holding("close", a);
    assert.deepEqual(await conflict(two, b), [F_WRLCK, 0, 0]);
  },

  async "a waiter gets its range when it is free"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.lock(a, F_SETLK, F_WRLCK, 0, 100);
    let got = false;
    const waiting = two.lock(b, F_SETLKW, F_WRLCK, 50, 100).then(() => (got = true));
    await one.lock(a, F_SETLK, F_UNLCK, 0, 50);
    await sleep(100);
    assert.equal(got, false);
    await one.lock(a, F_SETLK, F_UNLCK, 50, 50);
    await waiting;
    assert.deepEqual(await conflict(one, a), [F_WRLCK, 50, 100]);
  },

  async "a waiter gets its range when its holder dies"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.lock(a, F_SETLK, F_WRLCK, 0, 0);
    const waiting = two.lock(b, F_SETLKW, F_RDLCK, 0, 10);
    await sleep(50);
    process.kill(one.pid, "SIGKILL");
    await waiting;
  },

  async "a signal ends the wait for a range"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.lock(a, F_SETLK, F_WRLCK, 0, 0);
    const waiting = refused("EINTR", two.lock(b, F_SETLKW, F_WRLCK, 0, 10));
    await sleep(100);
    process.kill(two.pid, "SIGUSR1");
    await waiting;
    assert.equal(await conflict(one, a), "none");
  },

  async "waiters come in one after the other and none is forgotten"(folder) {
    const path = join(folder, "file");
    await writeFile(path, "");
    const all = await Promise.all(Array.from({ length: 6 }, () => startProcess()));
    const fds = await Promise.all(all.map((me) => me.open(path, O_RDWR)));
    let inside = 0;
    await Promise.all(
      all.map(async (me, at) => {
        const fd = fds[at] ?? -1;
        for (let round = 0; round < 5; round++) {
          await me.lock(fd, F_SETLKW, F_WRLCK, 0, 0);
          assert.equal(++inside, 1);
          await sleep(2);
          inside--;
          await me.lock(fd, F_SETLK, F_UNLCK, 0, 0);
        }
      }),
    );
    for (const me of all) await me[Symbol.asyncDispose]();
  },

  async "who waits for each other in a circle is told EDEADLK"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.lock(a, F_SETLK, F_WRLCK, 0, 1);
    await two.lock(b, F_SETLK, F_WRLCK, 1, 1);
    const waiting = one.lock(a, F_SETLKW, F_WRLCK, 1, 1);
    await sleep(100);
    await refused("EDEADLK", two.lock(b, F_SETLKW, F_WRLCK, 0, 1));
    await two.lock(b, F_SETLK, F_UNLCK, 1, 1);
    await waiting;
  },
};

const ofOpenFiles: Rules = {
  async "locks of open files exclude each other within one process"(folder) {
    await using both = await twoWith(folder);
    const { one, a } = both;
    const second = await one.open(join(folder, "file"), O_RDWR);
    await one.lock(a, F_OFD_SETLK, F_WRLCK, 0, 100);
    await refused("EAGAIN", one.lock(second, F_OFD_SETLK, F_WRLCK, 50, 10));
    await one.lock(second, F_OFD_SETLK, F_WRLCK, 100, 10);
    const { type, pid } = await one.lock(second, F_OFD_GETLK, F_WRLCK, 0, 1);
    assert.deepEqual([type, pid], [F_WRLCK, -1]);
  },

  async "a lock of an open file outlives the close of another descriptor"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.lock(a, F_OFD_SETLK, F_WRLCK, 0, 0);
    await one.close(await one.open(join(folder, "file"), O_RDONLY));
    await refused("EAGAIN", two.lock(b, F_OFD_SETLK, F_RDLCK, 0, 1));
    await refused("EAGAIN", two.lock(b, F_SETLK, F_RDLCK, 0, 1));
  },

  async "a lock of an open file goes with its last descriptor"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    const duplicate = await one.dup(a);
    await one.lock(a, F_OFD_SETLK, F_WRLCK, 0, 0);
    await one.close(a);
    await refused("EAGAIN", two.lock(b, F_OFD_SETLK, F_RDLCK, 0, 1));
    await one.close(duplicate);
    await sleep(50);
    await two.lock(b, F_OFD_SETLK, F_RDLCK, 0, 1);
  },

  async "a lock of an open file goes at the close, also beside one of the process"(folder) {
    await using both = await twoWith(folder);
    const { one, two, a, b } = both;
    await one.lock(a, F_SETLK, F_WRLCK, 0, 10);
    await one.lock(a, F_OFD_SETLK, F_WRLCK, 20, 10);
    await refused("EAGAIN", two.lock(b, F_SETLK, F_WRLCK, 20, 1));
    await one.close(a);
    await sleep(50);
    await two.lock(b, F_SETLK, F_WRLCK, 0, 0);
  },
};

export const locks: Rules = { ...whole, ...ranges, ...ofOpenFiles };
