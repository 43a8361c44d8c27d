import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { mountPair, type Pair } from "../support/pair.ts";
import { until } from "../support/process.ts";

/** Programs that work on one volume from two mounts, as from two hosts. */

const run = promisify(execFile);

/** Adds rows and counts in one database, in transactions; looks in between whether it holds together. */
const SQLITE = `
import sqlite3, sys
path, who, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
db = sqlite3.connect(path, timeout=60, isolation_level=None)
assert db.execute("PRAGMA journal_mode=DELETE").fetchone()[0] == "delete"
for number in range(rounds):
    db.execute("BEGIN IMMEDIATE")
    total, = db.execute("SELECT n FROM total").fetchone()
    rows, = db.execute("SELECT count(*) FROM entries").fetchone()
    assert total == rows, f"{total} counted, {rows} rows"
    db.execute("INSERT INTO entries VALUES (?, ?, ?)", (who, number, "x" * 700))
    db.execute("UPDATE total SET n = n + 1")
    if number % 7 == 3:
        db.execute("ROLLBACK")
    else:
        db.execute("COMMIT")
    if number % 10 == 0:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
db.close()
`;

suite("programs on two mounts", () => {
  let pair: Pair;

  before(async () => {
    pair = await mountPair({ format: ["--trash-days", "0"] });
  });
  after(() => pair[Symbol.asyncDispose]());

  test("SQLite with a rollback journal, written from both: nothing is lost", async () => {
    const path = (mount: string): string => join(mount, "db");
    const { one, two } = pair;
    await run("sqlite3", [
      path(one.path),
      "CREATE TABLE total (n); INSERT INTO total VALUES (0); CREATE TABLE entries (who, number, data)",
    ]);
    await until("the database is seen", () => existsSync(path(two.path)));
    const rounds = 40;
    await Promise.all(
      [one.path, two.path].map((mount, who) =>
        run("python3", ["-c", SQLITE, path(mount), String(who), String(rounds)]),
      ),
    );
    const kept = Array.from({ length: rounds }, (_, number) => number).filter((n) => n % 7 !== 3);
    for (const mount of [one.path, two.path]) {
      const { stdout } = await run("sqlite3", [
        path(mount),
        "PRAGMA integrity_check; SELECT n FROM total; SELECT who, count(*), sum(number) FROM entries GROUP BY who",
      ]);
      const sum = kept.reduce((total, number) => total + number, 0);
      const each = (who: number): string => `${who}|${kept.length}|${sum}`;
      assert.deepEqual(stdout.trim().split("\n"), [
        "ok",
        String(2 * kept.length),
        each(0),
        each(1),
      ]);
    }
  });

  test("git, used from both in turns: each goes on where the other stopped", async () => {
    const { one, two } = pair;
    const git = async (mount: string, ...args: string[]): Promise<string> => {
      const who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "gc.auto=0"];
      const { stdout } = await run("git", ["-C", join(mount, "repo"), ...who, ...args]);
      return stdout;
    };
    await run("git", ["init", "-q", "-b", "main", join(one.path, "repo")]);
    const rounds = 8;
    for (let round = 0; round < rounds; round++) {
      const [mine, other] = round % 2 === 0 ? [one.path, two.path] : [two.path, one.path];
      for (let file = 0; file < 10; file++) {
        writeFileSync(join(mine, "repo", `f${file}`), `${round}: ${file}\n`.repeat(file + 1));
      }
      await git(mine, "add", "-A");
      await git(mine, "commit", "-q", "-m", `round ${round}`);
      await until("the other sees the commit, and nothing else", async () => {
        const last = await git(other, "log", "-1", "--format=%s");
        return last === `round ${round}\n` && (await git(other, "status", "--porcelain")) === "";
      });
      if (round === 3) await git(other, "repack", "-adq");
      if (round === 5) await git(mine, "gc", "-q");
    }
    await git(one.path, "checkout", "-q", "-b", "side", "HEAD~3");
    await until("the other sees the branch", async () => {
      return (await git(two.path, "branch", "--show-current")) === "side\n";
    });
    assert.equal(readFileSync(join(two.path, "repo/f0"), "utf8"), `${rounds - 4}: 0\n`);
    assert.equal(await git(two.path, "status", "--porcelain"), "");
    for (const { path } of [one, two]) {
      await git(path, "fsck", "--strict");
      assert.equal(await git(path, "rev-list", "--count", "main"), `${rounds}\n`);
    }
  });
});
