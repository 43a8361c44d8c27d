import assert from "node:assert/strict";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { log } from "../../src/base/log.ts";
import { readSettings } from "../../src/driver/settings.ts";
import { mountId, startDriver } from "../support/driver.ts";
import { makeFolder } from "../support/folder.ts";
import { makeNamespace } from "../support/namespace.ts";
import { until } from "../support/process.ts";

log.level = "silent";

const SERVICE = { managed: false };

test("a variable with nothing behind it is none", () => {
  const names = ["STATE", "VOLUMES", "RUN_DRIVER", "SOCKET", "GRACE"];
  const empty = Object.fromEntries(names.map((name) => [`JUICEFS_${name}`, ""]));
  for (const managed of [false, true]) {
    assert.deepEqual(readSettings(empty, { managed }), readSettings({}, { managed }));
  }
});

test("folders are named as the kernel tells mounts, whatever links lead there", async () => {
  await using folder = await makeFolder();
  mkdirSync(join(folder.path, "disk"));
  symlinkSync(join(folder.path, "disk"), join(folder.path, "link"));
  const { state, volumes } = readSettings(
    { JUICEFS_STATE: join(folder.path, "link/new"), JUICEFS_VOLUMES: `${folder.path}/link/v/` },
    SERVICE,
  );
  assert.equal(state, join(folder.path, "disk/new"));
  assert.equal(volumes, join(folder.path, "disk/v"));
});

test("a grace is as long as a timer can wait at most, and 30 s where it is no duration", () => {
  assert.equal(readSettings({ JUICEFS_GRACE: "60d" }, SERVICE).graceMs, 2 ** 31 - 1);
  assert.equal(readSettings({ JUICEFS_GRACE: "soon" }, SERVICE).graceMs, 30_000);
});

test("a driver whose folder is reached by a link, with wrong settings, mounts volumes", async () => {
  await using folder = await makeFolder();
  mkdirSync(join(folder.path, "a disk"));
  symlinkSync(join(folder.path, "a disk"), join(folder.path, "link"));
  await using driver = await startDriver({
    JUICEFS_STATE: join(folder.path, "link/state"),
    ...{ JUICEFS_GRACE: "soon", JUICEFS_LOG_LEVEL: "chatty", JUICEFS_CACHE: "" },
  });
  await driver.done("VolumeDriver.Create", { Name: "linked", Opts: null });
  const mount = { Name: "linked", ID: mountId("1") };
  const { Mountpoint } = await driver.done("VolumeDriver.Mount", mount);
  assert.equal(Mountpoint, join(folder.path, "a disk/state/volumes/linked"));
  assert.match(driver.program().output(), /Cannot use JUICEFS_LOG_LEVEL/);
});

test("what others mounted below the folder of the mounts stays", async () => {
  await using folder = await makeFolder();
  await using namespace = await makeNamespace();
  const [volumes, other] = [folder.path, join(folder.path, "other")];
  await namespace.run("mkdir", other);
  await using driver = await startDriver({ JUICEFS_VOLUMES: volumes }, { namespace });
  await driver.done("VolumeDriver.Create", { Name: "mine", Opts: null });
  await until("the folder of the mounts", () => {
    return namespace.mounts().some((line) => line.includes(` ${volumes} `));
  });
  await driver.program().stop("SIGTERM");
  // The folder of the mounts is to be seen for writing at a private place.
  await namespace.run("mkdir", "/run/juicefs-volume/points/other");
  await namespace.run("mount", "-t", "tmpfs", "others", other);
  await driver.start();
  await driver.done("VolumeDriver.Mount", { Name: "mine", ID: mountId("1") });
  assert.ok(namespace.mounts().some((line) => line.includes(` ${other} `)));
});
