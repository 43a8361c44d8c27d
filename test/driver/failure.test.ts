import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { SavedState } from "../../src/driver/state.ts";
import { StateFile } from "../../src/driver/state-file.ts";
import { mountId, startDriver, type TestDriver } from "../support/driver.ts";
import { freePort, until } from "../support/process.ts";
import { startRedis } from "../support/redis.ts";

/** What of a failure a person sees. */
async function refusal(driver: TestDriver, method: string, body: unknown): Promise<string> {
  const { Err } = await driver.call(method, body);
  assert.notEqual(Err, "", `${method} succeeded`);
  assert.doesNotMatch(Err, /\n/);
  return Err;
}

function nothingLeft(driver: TestDriver): void {
  assert.ok(!driver.namespace.mounts().some((line) => line.includes("fuse.juicefs")));
}

test("a volume whose Redis does not answer is not created, and the address is named", async () => {
  await using driver = await startDriver();
  const metaurl = `redis://user:hush@127.0.0.1:${await freePort()}/1`;
  const said = await refusal(driver, "VolumeDriver.Create", { Name: "v", Opts: { metaurl } });
  assert.match(said, /Cannot reach Redis at redis:\/\/.*127\.0\.0\.1:\d+\/1: nobody listens there/);
  assert.doesNotMatch(said, /hush/);
  assert.match(await refusal(driver, "VolumeDriver.Get", { Name: "v" }), /no such volume/);
});

test("with verify=false a Redis that comes later is waited for", async () => {
  await using driver = await startDriver();
  const port = await freePort();
  const Opts = { metaurl: `redis://127.0.0.1:${port}/1`, verify: "false" };
  await driver.done("VolumeDriver.Create", { Name: "later", Opts });
  const mounting = driver.done("VolumeDriver.Mount", { Name: "later", ID: mountId("1") });
  await sleep(1500);
  await using redis = await startRedis({ port });
  const { Mountpoint = "" } = await mounting;
  assert.equal(redis.port, port);
  await writeFile(join(driver.namespace.path(Mountpoint), "file"), "");
});

test("a Redis that never comes ends a mount in time, with the cause and nothing left", async () => {
  await using driver = await startDriver({ JUICEFS_GRACE: "100ms" });
  const metaurl = `redis://127.0.0.1:${await freePort()}/1`;
  const Opts = { metaurl, verify: "false" };
  await driver.done("VolumeDriver.Create", { Name: "never", Opts });
  const start = Date.now();
  const said = await refusal(driver, "VolumeDriver.Mount", { Name: "never", ID: mountId("1") });
  const seconds = (Date.now() - start) / 1000;
  assert.match(said, /nobody listens there/);
  assert.ok(seconds > 15 && seconds < 26, `${seconds} s`);
  const status = async (): Promise<Record<string, unknown>> => {
    const { Volume } = await driver.done("VolumeDriver.Get", { Name: "never" });
    return { ...Volume?.Status };
  };
  assert.equal((await status())["references"], 0);
  // The last try may go on for a moment without the user.
  await until("the last try to end", async () => (await status())["state"] === "failed");
  assert.match(String((await status())["lastError"]), /nobody listens there/);
  nothingLeft(driver);
});

test("a Redis that accepts and says nothing ends a creation and a mount in time", async () => {
  await using redis = await startRedis();
  await using driver = await startDriver();
  process.kill(redis.pid, "SIGSTOP");
  try {
    const start = Date.now();
    const said = await refusal(driver, "VolumeDriver.Create", {
      ...{ Name: "mute", Opts: { metaurl: redis.url(1) } },
    });
    assert.ok(Date.now() - start < 20_000);
    assert.match(said, /volume "mute" in time: its metadata \(redis:.*\) .* does not answer/);
    assert.deepEqual((await driver.done("VolumeDriver.List", {})).Volumes, []);
  } finally {
    process.kill(redis.pid, "SIGCONT");
  }
});

test("another volume than the one that is named is refused with both names", async () => {
  await using redis = await startRedis();
  await using driver = await startDriver();
  const create = { metaurl: redis.url(1), name: "photos" };
  await driver.done("VolumeDriver.Create", { Name: "one", Opts: create });
  const said = await refusal(driver, "VolumeDriver.Create", {
    ...{ Name: "two", Opts: { ...create, name: "videos" } },
  });
  assert.match(said, /"videos": the database holds volume "photos"/);
  await driver.done("VolumeDriver.Create", { Name: "two", Opts: { metaurl: redis.url(1) } });
});

test("a wrong bucket is refused when the volume is created, and no volume is made", async () => {
  await using redis = await startRedis();
  await using driver = await startDriver();
  const Opts = {
    ...{ metaurl: redis.url(1), storage: "minio", "access-key": "a", "secret-key": "hush-hush" },
    bucket: `http://127.0.0.1:${await freePort()}/bucket`,
  };
  const said = await refusal(driver, "VolumeDriver.Create", { Name: "b", Opts });
  assert.match(said, /127\.0\.0\.1:\d+.*nobody listens there/);
  assert.doesNotMatch(said, /hush/);
});

test("a file system in a folder is not taken where an object store is asked for", async () => {
  await using driver = await startDriver();
  const Name = "grown";
  await driver.done("VolumeDriver.Create", { Name, Opts: null });
  await driver.done("VolumeDriver.Remove", { Name });
  const Opts = { storage: "minio", bucket: "http://127.0.0.1:1/b" };
  const { Err } = await driver.call("VolumeDriver.Create", { Name, Opts });
  assert.match(
    Err,
    /lies in file storage at .* not in minio storage; leave storage and bucket out/,
  );
  await driver.done("VolumeDriver.Create", { Name, Opts: { storage: "File" } });
});

test("a file system whose objects lie on another host is refused, for what is written here could not be read there", async () => {
  await using redis = await startRedis();
  await using driver = await startDriver();
  const objects = driver.namespace.path(join(driver.state, "objects"));
  const create = { Opts: { metaurl: redis.url(1) } };
  await driver.done("VolumeDriver.Create", { Name: "photos", ...create });
  // As on a host that has not got them.
  await rename(objects, `${objects}-of-another-host`);
  const said = await refusal(driver, "VolumeDriver.Create", { Name: "again", ...create });
  assert.match(
    said,
    /"photos": its objects lie in the folder ".*objects.*", which is not on this host/,
  );
  await rename(`${objects}-of-another-host`, objects);
  await driver.done("VolumeDriver.Create", { Name: "again", ...create });
});

/** A state folder on a small disk of its own, with one volume whose stores lie elsewhere. */
async function onSmallDisk(driver: TestDriver, metaurl: string): Promise<void> {
  await driver.program().stop("SIGTERM");
  // What the driver left mounted below would only be hidden.
  const script = "umount --recursive $0/volumes; mount -t tmpfs -o size=256k small $0";
  await driver.namespace.run("sh", "-c", script, driver.state);
  await driver.start();
  const Opts = { metaurl, bucket: join(driver.state, "..", "objects") };
  await driver.done("VolumeDriver.Create", { Name: "there", Opts });
}

for (const [what, spoil, expected] of [
  [
    "full",
    "dd if=/dev/zero of=$0/fill bs=1k count=1000 2>/dev/null; test -s $0/fill",
    /no space is left there \(ENOSPC\)/,
  ],
  ["read-only", "mount -o remount,ro $0", /the file system is read-only/],
] as const) {
  test(`on a ${what} disk no volume is created, and what is there goes on`, async () => {
    await using redis = await startRedis();
    await using driver = await startDriver();
    await onSmallDisk(driver, redis.url(1));
    await driver.namespace.run("sh", "-c", spoil, driver.state);
    const Opts = { metaurl: redis.url(2), bucket: join(driver.state, "..", "more") };
    const said = await refusal(driver, "VolumeDriver.Create", { Name: "new", Opts });
    assert.match(said, /Cannot create volume "new": Cannot save to ".*"/);
    assert.match(said, expected);
    assert.match(await refusal(driver, "VolumeDriver.Get", { Name: "new" }), /no such volume/);
    const { Mountpoint = "" } = await driver.done("VolumeDriver.Mount", {
      ...{ Name: "there", ID: mountId("1") },
    });
    await writeFile(join(driver.namespace.path(Mountpoint), "file"), "written");
    await driver.done("VolumeDriver.Unmount", { Name: "there", ID: mountId("1") });
  });
}

test("a state that is damaged is put aside, and the last good one is used", async () => {
  await using driver = await startDriver();
  await driver.done("VolumeDriver.Create", { Name: "first", Opts: null });
  await driver.done("VolumeDriver.Create", { Name: "second", Opts: null });
  await driver.program().stop("SIGKILL");
  const path = driver.namespace.path(join(driver.state, "state.json"));
  writeFileSync(path, readFileSync(path).subarray(0, 100));
  await driver.start();
  const { Volumes } = await driver.done("VolumeDriver.List", {});
  assert.ok(Volumes?.some(({ Name }) => Name === "first"));
  const kept = readdirSync(driver.namespace.path(driver.state));
  assert.ok(kept.some((name) => name.startsWith("state.json.bad-")));
});

test("a state that is lost altogether is no reason to end", async () => {
  await using driver = await startDriver();
  await driver.done("VolumeDriver.Create", { Name: "lost", Opts: null });
  await driver.program().stop("SIGKILL");
  const path = driver.namespace.path(join(driver.state, "state.json"));
  for (const name of [path, `${path}.last`]) writeFileSync(name, "{}");
  await driver.start();
  assert.deepEqual((await driver.done("VolumeDriver.List", {})).Volumes, []);
  await driver.done("VolumeDriver.Create", { Name: "new", Opts: null });
});

test("after the machine was started again nobody uses a volume", async () => {
  await using driver = await startDriver();
  await driver.done("VolumeDriver.Create", { Name: "v", Opts: null });
  await driver.done("VolumeDriver.Mount", { Name: "v", ID: mountId("1") });
  await driver.program().stop("SIGKILL");
  const file = new StateFile(driver.namespace.path(join(driver.state, "state.json")), SavedState);
  const saved = file.load();
  assert.equal(saved?.volumes["v"]?.references.length, 1);
  await file.save(() => ({ ...saved, boot: "an earlier one" }));
  await driver.start();
  const { Volume } = await driver.done("VolumeDriver.Get", { Name: "v" });
  assert.equal(Volume?.Status?.["references"], 0);
});

test("users of a dead engine are forgotten when nobody holds the mount any more", async () => {
  await using driver = await startDriver({ JUICEFS_GRACE: "500ms" });
  await driver.done("Plugin.Activate");
  await driver.done("VolumeDriver.Create", { Name: "v", Opts: null });
  await driver.done("VolumeDriver.Mount", { Name: "v", ID: mountId("1") });
  const { Mountpoint = "" } = await driver.done("VolumeDriver.Path", { Name: "v" });
  const script = `mkdir -p /run/c && mount --bind ${Mountpoint} /run/c && echo bound && exec sleep inf`;
  const container = driver.namespace.start("unshare", [
    ...["-m", "--propagation", "slave", "sh", "-c", script],
  ]);
  await until("a container", () => container.output().includes("bound"));
  await driver.done("Plugin.Activate");
  const references = async (): Promise<unknown> =>
    (await driver.done("VolumeDriver.Get", { Name: "v" })).Volume?.Status?.["references"];
  await sleep(4000);
  assert.equal(await references(), 1);
  await container.stop("SIGKILL");
  await until("the stale user to be forgotten", async () => (await references()) === 0);
});

test("no secret is in the state, a log, a command line, a status or an answer", async () => {
  const secret = "hush-Zx9";
  await using redis = await startRedis({ args: ["--requirepass", secret] });
  await using driver = await startDriver({ JUICEFS_LOG_LEVEL: "trace" });
  const metaurl = redis.url(1).replace("//", `//:${secret}@`);
  const Opts = { metaurl, "access-key": "key", "secret-key": `${secret}-too` };
  await driver.done("VolumeDriver.Create", { Name: "v", Opts });
  await driver.done("VolumeDriver.Mount", { Name: "v", ID: mountId("1") });
  const said = [JSON.stringify(await driver.done("VolumeDriver.Get", { Name: "v" }))];
  said.push(driver.program().output());
  for (const pid of driver.namespace.pids()) {
    said.push(readFileSync(`/proc/${pid}/cmdline`, "utf8"));
    said.push(readFileSync(`/proc/${pid}/environ`, "utf8"));
  }
  const state = driver.namespace.path(driver.state);
  for (const name of readdirSync(state, { recursive: true, encoding: "utf8" })) {
    const path = join(state, name);
    if (name.startsWith("volumes") || !statSync(path).isFile()) continue;
    said.push(readFileSync(path, "latin1"));
  }
  const wrong = { ...Opts, metaurl: metaurl.replace(secret, `${secret}-wrong`) };
  said.push(await refusal(driver, "VolumeDriver.Create", { Name: "w", Opts: wrong }));
  for (const text of said) assert.ok(!text.includes(secret), text.slice(0, 300));
  assert.match(said[0] ?? "", /redis:\/\/\*\*\*@127/);
});

test("secrets may lie in files, and a changed file holds from the next mount on", async () => {
  await using redis = await startRedis({ args: ["--requirepass", "old"] });
  await using driver = await startDriver({ JUICEFS_GRACE: "100ms" });
  const folder = driver.namespace.path(join(driver.state, "secrets"));
  const url = (password: string): string => redis.url(1).replace("//", `//:${password}@`);
  writeFileSync(join(folder, "meta"), `${url("wrong")}\n`);
  const create = { Name: "v", Opts: { "metaurl-file": "meta" } };
  assert.match(await refusal(driver, "VolumeDriver.Create", create), /wants another password/);
  writeFileSync(join(folder, "meta"), `${url("old")}\n`);
  await driver.done("VolumeDriver.Create", create);
  await driver.done("VolumeDriver.Mount", { Name: "v", ID: mountId("1") });
  const { Volume } = await driver.done("VolumeDriver.Get", { Name: "v" });
  assert.equal(Volume?.Status?.["metadata"], "metaurl-file meta");
});
