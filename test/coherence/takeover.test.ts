import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir, rename, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { askTestMount } from "../support/mount.ts";
import { mountPair, settled, type Pair } from "../support/pair.ts";
import { until } from "../support/process.ts";
import { countRoundTrips } from "../support/round-trips.ts";

/** What the kernel and a new serving process know after the one before was killed. */

const run = promisify(execFile);

/** Kills the process that serves the second mount, does something meanwhile, and waits for the next one. */
async function replaceServer(
  { two, volume }: Pair,
  meanwhile: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const at = { path: two.path, folder: volume.folder };
  const { serverPid, restarts } = await askTestMount(at);
  process.kill(serverPid, "SIGSTOP");
  await meanwhile();
  process.kill(serverPid, "SIGKILL");
  await until("another process serves", async () => {
    const status = await askTestMount(at);
    return status.restarts > restarts && status.state === "serving";
  });
}

test("nothing that changed while nobody served is served from what the kernel kept", async () => {
  await using pair = await mountPair({ format: ["--trash-days", "0"] });
  const theirs = (name: string): string => join(pair.one.path, name);
  const ours = (name: string): string => join(pair.two.path, name);
  await mkdir(theirs("d"));
  const names = ["mode", "gone", "replaced", "data", "cut", "moved"];
  for (const name of names) await writeFile(theirs(`d/${name}`), `old ${name}`);
  await until("all is seen", () => existsSync(ours("d/moved")));
  for (let round = 0; round < 2; round++) {
    assert.equal(readdirSync(ours("d")).length, names.length);
    assert.equal(existsSync(ours("d/new")), false);
    for (const name of names) assert.equal(readFileSync(ours(`d/${name}`), "utf8"), `old ${name}`);
  }
  await replaceServer(pair, async () => {
    chmodSync(theirs("d/mode"), 0o600);
    await unlink(theirs("d/gone"));
    await writeFile(theirs("d/other"), "new replaced");
    await rename(theirs("d/other"), theirs("d/replaced"));
    await writeFile(theirs("d/data"), "new data");
    await writeFile(theirs("d/cut"), "");
    await rename(theirs("d/moved"), theirs("d/moved2"));
    await writeFile(theirs("d/new"), "");
  });
  await until("the mode is seen", () => (statSync(ours("d/mode")).mode & 0o777) === 0o600);
  await until("the last change is seen", () => existsSync(ours("d/new")));
  assert.equal(existsSync(ours("d/gone")), false);
  assert.equal(existsSync(ours("d/moved")), false);
  assert.equal(readFileSync(ours("d/replaced"), "utf8"), "new replaced");
  assert.equal(readFileSync(ours("d/data"), "utf8"), "new data");
  assert.equal(statSync(ours("d/cut")).size, 0);
  const listed = ["cut", "data", "mode", "moved2", "new", "replaced"];
  assert.deepEqual(readdirSync(ours("d")).toSorted(), listed);
});

test("what changes after a new process serves is given up by the kernel, though the process before handed it out", async () => {
  await using pair = await mountPair({ format: ["--trash-days", "0"] });
  const theirs = (name: string): string => join(pair.one.path, name);
  const ours = (name: string): string => join(pair.two.path, name);
  await writeFile(theirs("f"), "old");
  await writeFile(theirs("g"), "old");
  await until("the files are seen", () => existsSync(ours("g")));
  for (let round = 0; round < 2; round++) {
    assert.equal(existsSync(ours("new")), false);
    for (const name of ["f", "g"]) assert.equal(readFileSync(ours(name), "utf8"), "old");
  }
  await replaceServer(pair);
  chmodSync(theirs("f"), 0o600);
  await writeFile(theirs("f"), "new");
  await unlink(theirs("g"));
  await writeFile(theirs("new"), "");
  await until("the data is seen", () => readFileSync(ours("f"), "utf8") === "new");
  await until("the mode is seen", () => (statSync(ours("f")).mode & 0o777) === 0o600);
  await until("the removal is seen", () => !existsSync(ours("g")));
  await until("the new name is seen", () => existsSync(ours("new")));
});

test("a tree costs no round trip again once a new process has read it", async () => {
  await using pair = await mountPair({ mount: ["--heartbeat", "3600", "--no-bgjob"] });
  const tree = join(pair.two.path, "tree");
  for (let folder = 0; folder < 10; folder++) {
    mkdirSync(join(pair.one.path, "tree", String(folder)), { recursive: true });
    for (let file = 0; file < 30; file++) {
      await writeFile(join(pair.one.path, "tree", String(folder), String(file)), "");
    }
  }
  await until("the tree is seen", () => existsSync(join(tree, "9/29")));
  const walk = (): Promise<unknown> => run("find", [tree, "-printf", "%p %s %m\\n"]);
  await walk();
  await using trips = await countRoundTrips(pair.volume.server);
  assert.deepEqual(await trips.during(walk), []);
  await replaceServer(pair);
  await settled(pair.volume, [pair.two.path]);
  await walk();
  await writeFile("/proc/sys/vm/drop_caches", "2");
  await walk();
  assert.deepEqual(await trips.during(walk), []);
});

test("a mount tells what it heard of others, and whether it was of use", async () => {
  await using pair = await mountPair();
  const heard = async (): Promise<Record<string, unknown>> => {
    const { notices } = await askTestMount({ path: pair.two.path, folder: pair.volume.folder });
    return { ...notices };
  };
  await writeFile(join(pair.one.path, "f"), "");
  await until("the file is seen", () => existsSync(join(pair.two.path, "f")));
  chmodSync(join(pair.one.path, "f"), 0o600);
  chmodSync(join(pair.two.path, "f"), 0o640);
  await until("it tells", async () => {
    const { trust, received, own, useful, messages } = await heard();
    return (
      trust === "long" &&
      Number(own) > 0 &&
      Number(received) > Number(own) &&
      Number(useful) > 0 &&
      Number(messages) > 0
    );
  });
  const { dropped, unexplained, caughtUp } = await heard();
  assert.deepEqual([typeof dropped, unexplained, caughtUp], ["number", 0, 0]);
});
