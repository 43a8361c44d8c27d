import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { appendFile, open, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { mountId, startDriver, type TestDriver } from "../support/driver.ts";
import { makeFolder } from "../support/folder.ts";
import { until } from "../support/process.ts";
import { startRedis } from "../support/redis.ts";

type Status = Readonly<Record<string, unknown>>;

async function statusOf(driver: TestDriver, name: string): Promise<Status> {
  return (await driver.done("VolumeDriver.Get", { Name: name })).Volume?.Status ?? {};
}

/** Creates a volume and mounts it for one user. @returns its path as this process sees it */
async function mounted(driver: TestDriver, name: string, id = mountId("1")): Promise<string> {
  await driver.done("VolumeDriver.Create", { Name: name, Opts: null });
  return mountedAgain(driver, name, id);
}

async function mountedAgain(driver: TestDriver, name: string, id = mountId("1")): Promise<string> {
  const { Mountpoint = "" } = await driver.done("VolumeDriver.Mount", { Name: name, ID: id });
  return driver.namespace.path(Mountpoint);
}

/** Processes of the namespace whose command line names a file. */
async function processes(driver: TestDriver, program: string): Promise<number[]> {
  const found: number[] = [];
  for (const pid of driver.namespace.pids()) {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (command.includes(program)) found.push(pid);
  }
  return found;
}

async function idle(driver: TestDriver, name: string): Promise<void> {
  await until(`volume ${name} to be idle`, async () => {
    return (await statusOf(driver, name))["state"] === "idle";
  });
}

test("what is written is there for the next user, after the driver and its Redis ended too", async () => {
  await using driver = await startDriver({ JUICEFS_GRACE: "200ms" });
  const first = await mounted(driver, "notes");
  await writeFile(join(first, "a"), "hello");
  await driver.done("VolumeDriver.Unmount", { Name: "notes", ID: mountId("1") });
  await idle(driver, "notes");
  await driver.program().stop("SIGKILL");
  const [redis = 0] = await processes(driver, "redis-server");
  process.kill(redis, "SIGKILL");
  await driver.start();
  const again = await mountedAgain(driver, "notes", mountId("2"));
  assert.equal(await readFile(join(again, "a"), "utf8"), "hello");
});

test("many volumes that are created at once are all made", async () => {
  await using driver = await startDriver();
  const names = Array.from({ length: 40 }, (_, number) => `v${number}`);
  await Promise.all(names.map((Name) => driver.done("VolumeDriver.Create", { Name, Opts: null })));
});

test("many users at once share one mount, and it ends after the last one", async () => {
  await using driver = await startDriver({ JUICEFS_GRACE: "200ms" });
  await driver.done("VolumeDriver.Create", { Name: "shared", Opts: null });
  const ids = Array.from({ length: 20 }, (_, number) => `user-${number}`);
  const answers = await Promise.all(
    ids.map((ID) => driver.done("VolumeDriver.Mount", { Name: "shared", ID })),
  );
  assert.equal(new Set(answers.map(({ Mountpoint }) => Mountpoint)).size, 1);
  assert.equal((await statusOf(driver, "shared"))["references"], 20);
  assert.equal((await statusOf(driver, "shared"))["generation"], 1);
  assert.equal((await processes(driver, "supervise.ts")).length, 1);
  await Promise.all(ids.map((ID) => driver.done("VolumeDriver.Unmount", { Name: "shared", ID })));
  await idle(driver, "shared");
  await until("the end of its processes", async () => {
    return (await processes(driver, "src/mount/")).length === 0;
  });
  assert.ok(!driver.namespace.mounts().some((line) => line.includes("fuse.juicefs")));
});

test("a mount that is used again within the grace is the same one", async () => {
  await using driver = await startDriver();
  await mounted(driver, "quick");
  for (let round = 0; round < 3; round++) {
    await driver.done("VolumeDriver.Unmount", { Name: "quick", ID: mountId("1") });
    await mountedAgain(driver, "quick");
  }
  assert.equal((await statusOf(driver, "quick"))["generation"], 1);
});

test("an ID that is told twice must leave twice, and one that nobody knows may leave", async () => {
  await using driver = await startDriver();
  await mounted(driver, "copied");
  await mountedAgain(driver, "copied");
  const leave = (ID: string): unknown =>
    driver.done("VolumeDriver.Unmount", { Name: "copied", ID });
  await leave(mountId("1"));
  await leave(mountId("9"));
  assert.equal((await statusOf(driver, "copied"))["references"], 1);
  await leave(mountId("1"));
  await leave(mountId("1"));
  assert.equal((await statusOf(driver, "copied"))["references"], 0);
});

test("a killed driver takes no mount along, and the next one takes them over", async () => {
  await using driver = await startDriver();
  const path = await mounted(driver, "kept");
  await using file = await open(join(path, "log"), "a+");
  await file.write("before ");
  await driver.program().stop("SIGKILL");
  await file.write("meanwhile ");
  await driver.start();
  await until("the volume to be taken over", async () => {
    return (await statusOf(driver, "kept"))["state"] === "serving";
  });
  await file.write("after");
  const status = await statusOf(driver, "kept");
  assert.equal(status["generation"], 1);
  assert.equal(status["references"], 1);
  assert.equal(await readFile(join(path, "log"), "utf8"), "before meanwhile after");
  assert.equal((await processes(driver, "redis-server")).length, 1);
});

test("a driver that is told to end leaves the mounts too", async () => {
  await using driver = await startDriver();
  const path = await mounted(driver, "kept");
  await driver.program().stop("SIGTERM");
  await writeFile(join(path, "file"), "there");
  await driver.start();
  assert.equal(await readFile(join(path, "file"), "utf8"), "there");
});

test("a mount whose processes all died is healed under those who hold it", async () => {
  await using driver = await startDriver();
  const path = await mounted(driver, "healed");
  await writeFile(join(path, "file"), "still here");
  const { Mountpoint = "" } = await driver.done("VolumeDriver.Path", { Name: "healed" });
  // As a container does: a namespace that gets what is mounted, and binds the volume somewhere.
  const script = `mkdir -p /run/c && mount --bind ${Mountpoint} /run/c && echo bound && exec sleep inf`;
  const container = driver.namespace.start("unshare", [
    ...["-m", "--propagation", "slave", "sh", "-c", script],
  ]);
  await until("a container", () => container.output().includes("bound"));
  const inside = join(`/proc/${container.pid()}/root`, "run/c/file");
  assert.equal(await readFile(inside, "utf8"), "still here");
  const status = await statusOf(driver, "healed");
  assert.equal(status["state"], "serving");
  for (const pid of await processes(driver, "src/mount/")) process.kill(pid, "SIGKILL");
  await assert.rejects(readFile(inside));
  await until("the volume to be healed", async () => {
    return (await statusOf(driver, "healed"))["generation"] === 2;
  });
  await until("the container to see it", async () => {
    return (await readFile(inside, "utf8").catch(() => "")) === "still here";
  });
  assert.equal((await statusOf(driver, "healed"))["references"], 1);
  await container.stop("SIGKILL");
});

test("what was mounted when everything died is mounted again by the next driver", async () => {
  await using driver = await startDriver();
  const path = await mounted(driver, "used");
  await writeFile(join(path, "file"), "still here");
  await driver.program().stop("SIGKILL");
  for (const pid of driver.namespace.pids()) process.kill(pid, "SIGKILL");
  await driver.start();
  await until("the volume to be mounted again", async () => {
    return (await readFile(join(path, "file"), "utf8").catch(() => "")) === "still here";
  });
  assert.equal((await statusOf(driver, "used"))["references"], 1);
});

test("a dead mount that nobody uses is taken away", async () => {
  await using driver = await startDriver();
  await mounted(driver, "unused");
  await driver.done("VolumeDriver.Unmount", { Name: "unused", ID: mountId("1") });
  for (const pid of await processes(driver, "src/mount/")) process.kill(pid, "SIGKILL");
  await idle(driver, "unused");
  await until("no mount of it", () => {
    return !driver.namespace.mounts().some((line) => line.includes("fuse.juicefs"));
  });
});

test("a mount that somebody took away is bound again", async () => {
  await using driver = await startDriver();
  const path = await mounted(driver, "taken");
  await writeFile(join(path, "file"), "");
  const { Mountpoint = "" } = await driver.done("VolumeDriver.Path", { Name: "taken" });
  await driver.namespace.run("umount", Mountpoint);
  await until("the volume to be there", async () => {
    return readFile(join(path, "file")).then(
      () => true,
      () => false,
    );
  });
  assert.equal((await statusOf(driver, "taken"))["generation"], 1);
});

test("where no volume is mounted nobody can write, not even root", async () => {
  await using driver = await startDriver({ JUICEFS_GRACE: "100ms" });
  const path = await mounted(driver, "empty");
  await writeFile(join(path, "file"), "in the volume");
  await driver.done("VolumeDriver.Unmount", { Name: "empty", ID: mountId("1") });
  await idle(driver, "empty");
  await assert.rejects(writeFile(join(path, "file"), "on the host"), { code: "EROFS" });
  await assert.rejects(writeFile(join(path, "..", "other"), "on the host"), { code: "EROFS" });
});

test("a removed volume is unmounted, and its data is there when it is created again", async () => {
  await using driver = await startDriver();
  const path = await mounted(driver, "back");
  await writeFile(join(path, "file"), "still here");
  // dockerd asks this only when no container refers to it: an ID that never left is stale.
  await driver.done("VolumeDriver.Remove", { Name: "back" });
  assert.ok(!driver.namespace.mounts().some((line) => line.includes("fuse.juicefs")));
  const again = await mounted(driver, "back");
  assert.equal(await readFile(join(again, "file"), "utf8"), "still here");
});

test("a volume that is removed and created again waits for nothing of the one before", async () => {
  await using driver = await startDriver({ JUICEFS_GRACE: "100ms" });
  const cache = { "cache-dir": join(driver.state, "cache"), writeback: "true" };
  // What is staged takes a minute to be stored.
  const create = { Name: "swift", Opts: { ...cache, "upload-limit": "1" } };
  await driver.done("VolumeDriver.Create", create);
  await writeFile(join(await mountedAgain(driver, "swift"), "file"), randomBytes(8 << 20));
  await driver.done("VolumeDriver.Unmount", { Name: "swift", ID: mountId("1") });
  await driver.done("VolumeDriver.Remove", { Name: "swift" });
  await driver.done("VolumeDriver.Create", create);
  assert.deepEqual(await readdir(await mountedAgain(driver, "swift")), ["file"]);
});

test("the log of a mount that lives long does not fill the disk", async () => {
  await using driver = await startDriver();
  await mounted(driver, "chatty");
  const path = join(driver.state, "log/chatty.log");
  await appendFile(path, "x".repeat(11 << 20));
  await driver.program().stop("SIGTERM");
  await driver.start();
  await until("the log to be short", async () => (await stat(path)).size < 1 << 20);
  assert.ok((await stat(`${path}.1`)).size >= 11 << 20);
});

test("a volume that is to be destroyed takes its data along", async () => {
  await using driver = await startDriver();
  const create = { Name: "burn", Opts: { "on-remove": "destroy" } };
  await driver.done("VolumeDriver.Create", create);
  const path = await mountedAgain(driver, "burn");
  await writeFile(join(path, "file"), "gone soon");
  await driver.done("VolumeDriver.Unmount", { Name: "burn", ID: mountId("1") });
  await driver.done("VolumeDriver.Remove", { Name: "burn" });
  assert.deepEqual(await readdir(driver.namespace.path(join(driver.state, "objects"))), []);
  await driver.done("VolumeDriver.Create", create);
  assert.deepEqual(await readdir(await mountedAgain(driver, "burn")), []);
});

test("what was never used here is not destroyed, and another volume does not get it", async () => {
  await using driver = await startDriver();
  const Name = "old";
  await writeFile(join(await mounted(driver, Name), "file"), "kept");
  await driver.done("VolumeDriver.Remove", { Name });
  const Opts = { "on-remove": "destroy", verify: "false" };
  await driver.done("VolumeDriver.Create", { Name, Opts });
  await driver.done("VolumeDriver.Remove", { Name });
  assert.deepEqual(await readdir(await mounted(driver, "other")), []);
  assert.equal(await readFile(join(await mounted(driver, Name), "file"), "utf8"), "kept");
});

test("destroying a volume elsewhere leaves what one of its name had here", async () => {
  await using redis = await startRedis();
  await using driver = await startDriver();
  const Name = "moved";
  await writeFile(join(await mounted(driver, Name), "file"), "kept");
  await driver.done("VolumeDriver.Remove", { Name });
  const Opts = { metaurl: redis.url(1), name: "elsewhere", "on-remove": "destroy" };
  await driver.done("VolumeDriver.Create", { Name, Opts });
  await driver.done("VolumeDriver.Remove", { Name });
  assert.equal(await readFile(join(await mounted(driver, Name), "file"), "utf8"), "kept");
});

test("a volume whose name the engine made up goes with its data, unless it is told to stay", async () => {
  await using driver = await startDriver();
  const [gone, kept] = ["a".repeat(64), "b".repeat(64)];
  for (const [Name, Opts] of [
    [gone, null],
    [kept, { "on-remove": "keep" }],
  ] as const) {
    await driver.done("VolumeDriver.Create", { Name, Opts });
    await writeFile(join(await mountedAgain(driver, Name), "file"), "data");
    await driver.done("VolumeDriver.Unmount", { Name, ID: mountId("1") });
    await driver.done("VolumeDriver.Remove", { Name });
  }
  assert.deepEqual(await readdir(driver.namespace.path(join(driver.state, "objects"))), [kept]);
  const { state } = JSON.parse(await readFile(join(driver.state, "state.json"), "utf8")) as {
    state: { databases: unknown };
  };
  assert.deepEqual(state.databases, { [kept]: 0 });
});

test("a volume whose file system another host destroyed can be removed", async () => {
  await using redis = await startRedis();
  await using folder = await makeFolder();
  await using driver = await startDriver();
  const Opts = { metaurl: redis.url(1), bucket: folder.path, "on-remove": "destroy" };
  for (const Name of ["here", "there"]) await driver.done("VolumeDriver.Create", { Name, Opts });
  await driver.done("VolumeDriver.Remove", { Name: "there" });
  await driver.done("VolumeDriver.Remove", { Name: "here" });
  // What was made there since belongs to somebody else.
  for (const Name of ["here", "there"]) await driver.done("VolumeDriver.Create", { Name, Opts });
  await driver.done("VolumeDriver.Remove", { Name: "there" });
  await driver.done("VolumeDriver.Create", { Name: "new", Opts: { ...Opts, "on-remove": "keep" } });
  await driver.done("VolumeDriver.Remove", { Name: "here" });
  await driver.done("VolumeDriver.Mount", { Name: "new", ID: mountId("1") });
});

test("mounts of volumes that nobody knows any more end at the next start", async () => {
  await using driver = await startDriver();
  await mounted(driver, "orphan");
  await driver.program().stop("SIGKILL");
  await driver.namespace.run("sh", "-c", `rm ${driver.state}/state.json*`);
  await driver.start();
  await until("no mount of it", () => {
    return !driver.namespace.mounts().some((line) => line.includes("fuse.juicefs"));
  });
  assert.match((await driver.call("VolumeDriver.Get", { Name: "orphan" })).Err, /no such volume/);
});
