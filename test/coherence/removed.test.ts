import assert from "node:assert/strict";
import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { Redis } from "ioredis";
import { O_RDONLY, O_RDWR } from "../posix/support/calls.ts";
import { endProcesses, startProcess, type TestProcess } from "../posix/support/process.ts";
import { killMount } from "../support/mount.ts";
import { mountPair, type Pair } from "../support/pair.ts";
import { until } from "../support/process.ts";

/** Files that another mount removes while they are open here. */

/** Longer than a mount keeps what nobody has open. */
const GRACE_LIMIT_MS = 30_000;

suite("files open on one mount and removed by another", () => {
  const stack = new AsyncDisposableStack();
  let pair: Pair;
  let redis: Redis;
  let one: TestProcess;
  let two: TestProcess;

  before(async () => {
    pair = stack.use(await mountPair({ format: ["--trash-days", "0"] }));
    redis = new Redis(pair.volume.metaUrl, { protocol: 2 });
    stack.defer(() => {
      redis.disconnect();
    });
    [one, two] = [await startProcess(), await startProcess()];
  });
  after(async () => {
    await endProcesses();
    await stack.disposeAsync();
  });

  const theirs = (name: string): string => join(pair.one.path, name);
  const ours = (name: string): string => join(pair.two.path, name);

  async function made(name: string, content: string): Promise<number> {
    writeFileSync(theirs(name), content);
    await until("the file is seen", () => existsSync(ours(name)));
    return statSync(ours(name)).ino;
  }

  async function goneFromServer(ino: number): Promise<void> {
    await until(
      "nothing is left of it",
      async () => (await redis.exists(`i${ino}`, `c${ino}_0`)) === 0,
      GRACE_LIMIT_MS,
    );
  }

  test("it can be read, written, cut and asked for until its last close, then it is gone", async () => {
    const ino = await made("f", "what was there");
    const reader = await two.open(ours("f"), O_RDONLY);
    const writer = await two.open(ours("f"), O_RDWR);
    await one.unlink(theirs("f"));
    await until("the removal is seen", () => !existsSync(ours("f")));
    assert.equal((await two.pread(reader, 100, 0)).toString(), "what was there");
    // Longer than the one who removed it keeps what nobody has open.
    await until(
      "it is kept for this mount alone",
      async () => {
        const sessions = await redis.keys("session[0-9]*");
        const keeping = await Promise.all(sessions.map((key) => redis.sismember(key, ino)));
        return keeping.filter((kept) => kept === 1).length === 1;
      },
      GRACE_LIMIT_MS,
    );
    assert.equal((await two.fstat(reader)).nlink, 0);
    await two.pwrite(writer, Buffer.from("new"), 14);
    await two.fsync(writer);
    assert.equal((await two.pread(reader, 100, 0)).toString(), "what was therenew");
    await two.ftruncate(writer, 4);
    assert.equal((await two.pread(reader, 100, 0)).toString(), "what");
    await two.fchmod(writer, 0o600);
    await two.close(writer);
    assert.equal((await two.fstat(reader)).size, 4);
    assert.equal(await redis.exists(`i${ino}`), 1);
    await two.close(reader);
    await goneFromServer(ino);
  });

  test("one that was replaced stays the old one for who has it open", async () => {
    const ino = await made("replaced", "old");
    const fd = await two.open(ours("replaced"), O_RDONLY);
    await made("new", "the new one");
    await one.rename(theirs("new"), theirs("replaced"));
    await until("the new one is seen", () => statSync(ours("replaced")).ino !== ino);
    assert.equal((await two.pread(fd, 100, 0)).toString(), "old");
    assert.equal((await two.fstat(fd)).ino, ino);
    const again = await two.open(ours("replaced"), O_RDONLY);
    assert.equal((await two.pread(again, 100, 0)).toString(), "the new one");
    await two.close(again);
    await two.close(fd);
    await goneFromServer(ino);
  });

  test("one that both have open is there until both have closed it", async () => {
    const ino = await made("shared", "content");
    const a = await one.open(theirs("shared"), O_RDWR);
    const b = await two.open(ours("shared"), O_RDONLY);
    await two.unlink(ours("shared"));
    await one.pwrite(a, Buffer.from("CON"), 0);
    await one.close(a);
    await until("what the other wrote is seen", async () => {
      return (await two.pread(b, 100, 0)).toString() === "CONtent";
    });
    await two.close(b);
    await goneFromServer(ino);
  });

  test("an open folder that is removed lists nothing, and takes nothing in", async () => {
    mkdirSync(theirs("d"));
    await until("the folder is seen", () => existsSync(ours("d")));
    await two.chdir(ours("d"));
    const directory = await two.open_directory(ours("d"));
    await one.rmdir(theirs("d"));
    await until("the removal is seen", () => !existsSync(ours("d")));
    const names = (await two.read_directory(directory, 10)).map(([name]) => name.toString());
    assert.deepEqual(
      names.filter((name) => !name.startsWith(".")),
      [],
    );
    await two.close_directory(directory);
    await assert.rejects(two.mkdir("inside"), { code: "ENOENT" });
    await two.chdir("/");
  });

  test("one that nobody has open is gone soon", async () => {
    const ino = await made("closed", "content");
    await one.unlink(theirs("closed"));
    await goneFromServer(ino);
  });
});

test("what a mount had open goes when its session is dead", async () => {
  await using pair = await mountPair({
    format: ["--trash-days", "0"],
    mount: ["--heartbeat", "1"],
  });
  await using stack = new AsyncDisposableStack();
  const redis = new Redis(pair.volume.metaUrl, { protocol: 2 });
  stack.defer(() => {
    redis.disconnect();
  });
  stack.defer(endProcesses);
  writeFileSync(join(pair.one.path, "f"), "content");
  await until("the file is seen", () => existsSync(join(pair.two.path, "f")));
  const { ino } = statSync(join(pair.one.path, "f"));
  const me = await startProcess();
  const fd = await me.open(join(pair.two.path, "f"), O_RDONLY);
  assert.equal((await me.read(fd, 100)).toString(), "content");
  const one = await startProcess();
  await one.unlink(join(pair.one.path, "f"));
  await killMount(pair.two, pair.volume);
  await until(
    "nothing is left of it",
    async () => (await redis.exists(`i${ino}`, `c${ino}_0`)) === 0,
    GRACE_LIMIT_MS,
  );
  await until("its session is gone", async () => (await redis.zcard("allSessions")) === 1);
});
