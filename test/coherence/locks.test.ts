import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  F_GETLK,
  F_RDLCK,
  F_SETLK,
  F_SETLKW,
  F_UNLCK,
  F_WRLCK,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
} from "../posix/support/calls.ts";
import { endProcesses, startProcess, type TestProcess } from "../posix/support/process.ts";
import { killMount } from "../support/mount.ts";
import { mountPair, type Pair } from "../support/pair.ts";
import { until } from "../support/process.ts";
import { countRoundTrips, type RoundTrips } from "../support/round-trips.ts";

/** Locks between two mounts. */

/** Both kinds of lock, as a way to take everything and to let it go. */
const KINDS: Record<string, [take: Take, drop: Take]> = {
  flock: [(me, fd) => me.flock(fd, LOCK_EX), (me, fd) => me.flock(fd, LOCK_UN)],
  "lock of a range": [
    (me, fd) => me.lock(fd, F_SETLKW, F_WRLCK, 0, 100),
    (me, fd) => me.lock(fd, F_SETLK, F_UNLCK, 0, 100),
  ],
};
type Take = (me: TestProcess, fd: number) => Promise<unknown>;

suite("locks between two mounts", () => {
  const stack = new AsyncDisposableStack();
  let pair: Pair;
  let trips: RoundTrips;
  let one: TestProcess;
  let two: TestProcess;

  before(async () => {
    pair = stack.use(await mountPair({ format: ["--trash-days", "0"] }));
    trips = stack.use(await countRoundTrips(pair.volume.server));
    [one, two] = [await startProcess(), await startProcess()];
  });
  after(async () => {
    await endProcesses();
    await stack.disposeAsync();
  });

  /** A file that is open on both. */
  async function both(name: string): Promise<[number, number]> {
    writeFileSync(join(pair.one.path, name), Buffer.alloc(1000));
    await until("the file is seen", () => existsSync(join(pair.two.path, name)));
    return [
      await one.open(join(pair.one.path, name), O_RDWR),
      await two.open(join(pair.two.path, name), O_RDWR),
    ];
  }

  test("a lock on one keeps the other out until it is dropped, or its file closed", async () => {
    const [a, b] = await both("out");
    await one.flock(a, LOCK_EX);
    await assert.rejects(two.flock(b, LOCK_SH | LOCK_NB), { code: "EAGAIN" });
    // The other kind of lock is another matter.
    await two.lock(b, F_SETLK, F_WRLCK, 10, 20);
    await assert.rejects(one.lock(a, F_SETLK, F_RDLCK, 29, 5), { code: "EAGAIN" });
    const { type, start, length } = await one.lock(a, F_GETLK, F_RDLCK, 0, 0);
    assert.deepEqual([type, start, length], [F_WRLCK, 10, 20]);
    await one.lock(a, F_SETLK, F_WRLCK, 30, 5);
    await one.flock(a, LOCK_SH);
    await two.flock(b, LOCK_SH | LOCK_NB);
    await assert.rejects(two.flock(b, LOCK_EX | LOCK_NB), { code: "EAGAIN" });
    await two.close(b);
    await until("what was closed is free", () => {
      return one.flock(a, LOCK_EX | LOCK_NB).then(
        () => true,
        () => false,
      );
    });
    await one.lock(a, F_SETLK, F_WRLCK, 0, 0);
    await one.close(a);
  });

  for (const [kind, [take, drop]] of Object.entries(KINDS)) {
    test(`who waits for a ${kind} is woken when the other drops it, and asks seldom meanwhile`, async (t) => {
      const [a, b] = await both(`woken-${kind}`);
      await take(one, a);
      let got = false;
      let waiting = Promise.resolve();
      const sent = await trips.during(async () => {
        waiting = take(two, b).then(() => {
          got = true;
        });
        await sleep(3000);
      });
      assert.equal(got, false);
      const asked = sent.filter((command) => / lock[fp]\d/.test(command));
      assert.ok(asked.length > 0 && asked.length < 8, asked.join("; "));
      await drop(one, a);
      const begun = performance.now();
      await waiting;
      t.diagnostic(`woken after ${(performance.now() - begun).toFixed(1)} ms`);
      await drop(two, b);
      // So often that waking by the clock would show.
      const hand = performance.now();
      for (let round = 0; round < 30; round++) {
        await take(one, a);
        const taken = take(two, b);
        await drop(one, a);
        await taken;
        await drop(two, b);
      }
      t.diagnostic(`handed on in ${((performance.now() - hand) / 60).toFixed(1)} ms`);
      await one.close(a);
      await two.close(b);
    });

    test(`who takes a ${kind} sees all that was done under it before`, async () => {
      const name = `seen-${kind}`;
      await both(name).then(([a, b]) => Promise.all([one.close(a), two.close(b)]));
      mkdirSync(join(pair.one.path, `${name}-names`));
      const rounds = 25;
      const work = async (mount: string): Promise<void> => {
        const me = await startProcess();
        const at = (suffix: string): string => join(mount, name + suffix);
        const fd = await me.open(at(""), O_RDWR);
        for (let round = 0; round < rounds; round++) {
          await take(me, fd);
          const number = (await me.pread(fd, 4, 500)).readUInt32LE(0);
          const next = Buffer.alloc(4);
          next.writeUInt32LE(number + 1);
          await me.pwrite(fd, next, 500);
          // Names, and another file, replaced or made longer.
          const names = readdirSync(at("-names"));
          assert.equal(names.length, number, "names");
          if (number > 0) {
            const beside = await me.open(at("-beside"), O_RDONLY);
            assert.equal(Number(await me.read(beside, 20)), number, "another file");
            await me.close(beside);
          }
          const made = await me.open(at(`-names/${number}`), O_CREAT | O_WRONLY, 0o644);
          await me.close(made);
          const flags = O_CREAT | O_WRONLY | (number % 2 === 0 ? O_TRUNC : 0);
          const target = number % 3 === 0 ? at("-new") : at("-beside");
          const beside = await me.open(target, flags, 0o644);
          await me.pwrite(beside, Buffer.from(String(number + 1)), 0);
          await me.close(beside);
          if (number % 3 === 0) await me.rename(at("-new"), at("-beside"));
          await drop(me, fd);
        }
        await me.close(fd);
      };
      const { one: first, two: second } = pair;
      await Promise.all([first, second, first, second].map(({ path }) => work(path)));
      const fd = await one.open(join(first.path, name), O_RDONLY);
      assert.equal((await one.pread(fd, 4, 500)).readUInt32LE(0), 4 * rounds);
      await one.close(fd);
    });
  }

  test("a wait is ended by a signal, and then nothing is locked", async () => {
    const [a, b] = await both("signal");
    await one.flock(a, LOCK_EX);
    const me = await startProcess();
    const fd = await me.open(join(pair.two.path, "signal"), O_RDWR);
    const waiting = me.flock(fd, LOCK_EX);
    await sleep(100);
    process.kill(me.pid, "SIGKILL");
    await assert.rejects(waiting);
    await one.flock(a, LOCK_UN);
    await two.flock(b, LOCK_EX | LOCK_NB);
    await one.close(a);
    await two.close(b);
  });
});

test("locks of a mount that was killed are free when its session is dead", async () => {
  await using pair = await mountPair({ mount: ["--heartbeat", "1"] });
  writeFileSync(join(pair.one.path, "f"), "");
  await until("the file is seen", () => existsSync(join(pair.two.path, "f")));
  const [one, two] = [await startProcess(), await startProcess()];
  try {
    const a = await one.open(join(pair.one.path, "f"), O_RDWR);
    const b = await two.open(join(pair.two.path, "f"), O_RDWR);
    await two.flock(b, LOCK_EX);
    await two.lock(b, F_SETLK, F_WRLCK, 0, 10);
    await killMount(pair.two, pair.volume);
    const flocked = one.flock(a, LOCK_EX);
    const ranged = startProcess().then(async (me) => {
      const fd = await me.open(join(pair.one.path, "f"), O_RDWR);
      await me.lock(fd, F_SETLKW, F_WRLCK, 0, 10);
    });
    await Promise.all([flocked, ranged]);
  } finally {
    await endProcesses();
  }
});
