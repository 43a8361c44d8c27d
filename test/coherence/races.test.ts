import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { O_APPEND, O_CREAT, O_EXCL, O_WRONLY, RENAME_NOREPLACE } from "../posix/support/calls.ts";
import { endProcesses, startProcess, type TestProcess } from "../posix/support/process.ts";
import { mountPair, type Pair } from "../support/pair.ts";
import { until } from "../support/process.ts";

/** Two mounts do the same at the same moment: one of them wins, and both see that. */

const ROUNDS = 20;
const MEBIBYTE = 1 << 20;
const CHUNK = 64 * MEBIBYTE;

suite("races between two mounts", () => {
  let pair: Pair;
  /** Processes that work at the same time, and the folder as each sees it. */
  let racers: { me: TestProcess; mount: string }[] = [];

  before(async () => {
    pair = await mountPair({ format: ["--trash-days", "0"] });
    const mounts = [pair.one.path, pair.two.path, pair.one.path, pair.two.path];
    racers = await Promise.all(mounts.map(async (mount) => ({ me: await startProcess(), mount })));
  });
  after(async () => {
    await endProcesses();
    await pair[Symbol.asyncDispose]();
  });

  async function folder(name: string): Promise<void> {
    mkdirSync(join(pair.one.path, name));
    await until("the folder is seen", () => existsSync(join(pair.two.path, name)));
  }

  /** How each of them ended: the code of its error, or "won". */
  async function race(
    work: (me: TestProcess, at: string, racer: number) => Promise<unknown>,
  ): Promise<string[]> {
    return Promise.all(
      racers.map(({ me, mount }, racer) =>
        work(me, mount, racer).then(
          () => "won",
          (error: NodeJS.ErrnoException) => error.code ?? "",
        ),
      ),
    );
  }

  const EXISTING: Record<string, (me: TestProcess, name: string, own: string) => Promise<unknown>> =
    {
      mkdir: (me, name) => me.mkdir(name),
      "open with O_EXCL": async (me, name) => {
        await me.close(await me.open(name, O_CREAT | O_EXCL | O_WRONLY, 0o644));
      },
      symlink: (me, name) => me.symlink("target", name),
      link: (me, name, own) => me.link(own, name),
      "rename that replaces nothing": (me, name, own) => me.renameat2(own, name, RENAME_NOREPLACE),
    };

  for (const [what, make] of Object.entries(EXISTING)) {
    test(`of several that make a name by ${what}, one wins`, async () => {
      const at = what.replaceAll(" ", "-");
      await folder(at);
      for (let round = 0; round < ROUNDS; round++) {
        for (const [racer, { mount }] of racers.entries()) {
          writeFileSync(join(mount, at, `own-${round}-${racer}`), "");
        }
        const ends = await race((me, mount, racer) => {
          const own = join(mount, at, `own-${round}-${racer}`);
          return make(me, join(mount, at, `name-${round}`), own);
        });
        assert.deepEqual(ends.toSorted(), ["EEXIST", "EEXIST", "EEXIST", "won"], what);
        const inodes = racers.map(({ mount }) => {
          return statSync(join(mount, at, `name-${round}`), { throwIfNoEntry: false })?.ino;
        });
        assert.equal(new Set(inodes).size, 1, "all see the same");
      }
    });
  }

  test("of several that remove a name, or move it, one wins", async () => {
    await folder("removed");
    for (let round = 0; round < ROUNDS; round++) {
      const name = `name-${round}`;
      writeFileSync(join(pair.one.path, "removed", name), "");
      const ends = await race(async (me, mount, racer) => {
        const path = join(mount, "removed", name);
        await (racer < 2 ? me.unlink(path) : me.rename(path, `${path}-${racer}`));
      });
      assert.deepEqual(ends.toSorted(), ["ENOENT", "ENOENT", "ENOENT", "won"]);
    }
    for (const { mount } of racers) {
      await until("nobody sees a removed name", () => {
        return readdirSync(join(mount, "removed")).every((name) => /-[23]$/.test(name));
      });
    }
  });

  test("a folder is removed, or something is made in it, and never both", async () => {
    await folder("emptied");
    const seen = new Set<string>();
    for (let round = 0; round < ROUNDS; round++) {
      const name = join("emptied", `d-${round}`);
      mkdirSync(join(pair.one.path, name));
      await until("the folder is seen", () => existsSync(join(pair.two.path, name)));
      const [removed = "", made = ""] = await race(async (me, mount, racer) => {
        if (racer === 0) await me.rmdir(join(mount, name));
        if (racer === 1) await me.mkdir(join(mount, name, "inside"));
      });
      seen.add(`${removed} ${made}`);
      await until("both mounts see how it ended", () => {
        return racers.every(({ mount }) => {
          return existsSync(join(mount, name, "inside")) === (made === "won");
        });
      });
    }
    for (const end of seen) assert.match(end, /^(won ENOENT|ENOTEMPTY won)$/);
  });

  test("two folders that are moved into each other do not become a circle", async () => {
    await folder("circle");
    for (let round = 0; round < ROUNDS; round++) {
      const name = (letter: string): string => join("circle", `${letter}-${round}`);
      for (const letter of ["a", "b"]) mkdirSync(join(pair.one.path, name(letter)));
      await until("the folders are seen", () => existsSync(join(pair.two.path, name("b"))));
      const [first = "", second = ""] = await race(async (me, mount, racer) => {
        if (racer === 0) await me.rename(join(mount, name("a")), join(mount, name("b"), "a"));
        if (racer === 1) await me.rename(join(mount, name("b")), join(mount, name("a"), "b"));
      });
      assert.ok((first === "won") !== (second === "won"), `${first}, ${second}`);
      assert.match(first === "won" ? second : first, /^(ENOENT|EINVAL)$/);
    }
    const { one, two } = pair;
    const all = (mount: string): string[] => {
      return readdirSync(join(mount, "circle"), { recursive: true }).map(String).toSorted();
    };
    await until("both see the same", () => String(all(one.path)) === String(all(two.path)));
    assert.equal(all(one.path).length, 2 * ROUNDS);
  });

  test("sixteen processes make, move and remove names in one folder: each is there, or gone, and no call fails", async () => {
    await folder("busy");
    const count = 30;
    const crowd = await Promise.all(
      Array.from({ length: 16 }, async (_, worker) => ({
        worker,
        me: await startProcess(),
        mount: worker % 2 === 0 ? pair.one.path : pair.two.path,
      })),
    );
    await Promise.all(
      crowd.map(async ({ worker, me, mount }) => {
        for (let step = 0; step < count; step++) {
          const path = join(mount, "busy", `${worker}-${step}`);
          await me.close(await me.open(path, O_CREAT | O_EXCL | O_WRONLY, 0o644));
          if (step % 3 === 1) await me.rename(path, `${path}-moved`);
          if (step % 3 === 2) await me.unlink(path);
        }
        await me[Symbol.asyncDispose]();
      }),
    );
    const expected = crowd.flatMap(({ worker }) =>
      Array.from({ length: count }, (_, step) => step)
        .filter((step) => step % 3 < 2)
        .map((step) => `${worker}-${step}${step % 3 === 1 ? "-moved" : ""}`),
    );
    for (const { path } of [pair.one, pair.two]) {
      await until("every name is seen", () => {
        const names = readdirSync(join(path, "busy"));
        return names.toSorted().join() === expected.toSorted().join();
      });
    }
  });

  test("records that both append are whole and none is lost, across the borders of pages and chunks", async () => {
    await folder("log");
    const path = join(pair.one.path, "log/f");
    const begin = CHUNK - 6 * MEBIBYTE - 1234;
    writeFileSync(path, "");
    await racers[0]?.me.truncate(path, begin);
    await until("the file is seen", () => {
      const there = statSync(join(pair.two.path, "log/f"), { throwIfNoEntry: false });
      return there?.size === begin;
    });
    // Of a mebibyte, of odd lengths, and of some bytes.
    const lengths = [MEBIBYTE, 300_001, 20, 4096, MEBIBYTE, 77, 65_537, MEBIBYTE - 1, 8191, 20];
    const ends = await race(async (me, mount, racer) => {
      const fd = await me.open(join(mount, "log/f"), O_WRONLY | O_APPEND);
      for (const [number, length] of lengths.entries()) {
        const record = Buffer.alloc(length, 1 + racer * lengths.length + number);
        record.writeUInt32LE(0xfeedbeef, 0);
        record.writeUInt32LE(racer, 4);
        record.writeUInt32LE(number, 8);
        record.writeUInt32LE(length, 12);
        assert.equal(await me.write(fd, record), length);
        if (number % 4 === 3) await me.fsync(fd);
      }
      await me.close(fd);
    });
    assert.deepEqual(ends, ["won", "won", "won", "won"]);
    const total = begin + racers.length * lengths.reduce((sum, length) => sum + length, 0);
    assert.ok(total > CHUNK + MEBIBYTE);
    for (const { path: mount } of [pair.one, pair.two]) {
      await until("the length is seen", () => statSync(join(mount, "log/f")).size === total);
      const data = (await readFile(join(mount, "log/f"))).subarray(begin);
      const next = racers.map(() => 0);
      for (let at = 0; at < data.length;) {
        assert.equal(data.readUInt32LE(at), 0xfeedbeef, `a record at ${at}`);
        const [racer, number] = [data.readUInt32LE(at + 4), data.readUInt32LE(at + 8)];
        assert.equal(number, next[racer], "in the order of its writer");
        next[racer] = number + 1;
        const length = data.readUInt32LE(at + 12);
        assert.equal(length, lengths[number]);
        const fill = Buffer.alloc(length - 16, 1 + racer * lengths.length + number);
        assert.ok(data.subarray(at + 16, at + length).equals(fill), `record ${number} of ${racer}`);
        at += length;
      }
      assert.deepEqual(
        next,
        racers.map(() => lengths.length),
      );
    }
  });

  test("a name that one replaces all the time is never missing for the other", async () => {
    await folder("replaced");
    const path = (name: string): string => join(pair.one.path, "replaced", name);
    writeFileSync(path("f"), "0");
    const seen = join(pair.two.path, "replaced/f");
    await until("the file is seen", () => existsSync(seen));
    const replacing = race(async (me, _mount, racer) => {
      if (racer > 0) return;
      for (let step = 1; step <= 100; step++) {
        const fd = await me.open(path("new"), O_CREAT | O_WRONLY, 0o644);
        await me.write(fd, Buffer.from(String(step)));
        await me.close(fd);
        await me.rename(path("new"), path("f"));
      }
    });
    for (let last = 0; last < 100;) {
      const number = Number(readFileSync(seen, "utf8"));
      assert.ok(number >= last, `${number} after ${last}`);
      last = number;
      assert.ok(readdirSync(join(pair.two.path, "replaced")).includes("f"));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(await replacing, ["won", "won", "won", "won"]);
  });
});
