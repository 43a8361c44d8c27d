import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { copyProduct, mountId, startDriver, type TestDriver } from "../support/driver.ts";
import { makeFolder } from "../support/folder.ts";
import { until } from "../support/process.ts";

/** The driver in socket mode is replaced by one of another version while its volumes are used. */

const SCRIPT = `
  exec 9>>"$1/log" && flock 9 && cd "$1" || exit 1
  number=0
  while [ ! -e stop ]; do echo $number >&9 || exit 1; number=$((number + 1)); sleep 0.02; done
  seq 0 $((number - 1)) | cmp - log && echo "all $number lines"`;

async function statusOf(driver: TestDriver): Promise<Readonly<Record<string, unknown>>> {
  const { Volume } = await driver.done("VolumeDriver.Get", { Name: "used" });
  return Volume?.Status ?? {};
}

async function used(driver: TestDriver): Promise<string> {
  await driver.done("VolumeDriver.Create", { Name: "used", Opts: null });
  const mount = { Name: "used", ID: mountId("1") };
  const { Mountpoint = "" } = await driver.done("VolumeDriver.Mount", mount);
  return Mountpoint;
}

/** Whether it is served by that version, both processes of it. */
async function servedBy(driver: TestDriver, version: string): Promise<void> {
  await until(`a mount that ${version} serves`, async () => {
    const { state, version: shown } = await statusOf(driver);
    return state === "serving" && String(shown).endsWith(version);
  });
}

test("another version of the driver takes the mounts over while they are written to", async () => {
  await using folder = await makeFolder();
  await using driver = await startDriver();
  const path = await used(driver);
  const writer = driver.namespace.start("bash", ["-c", SCRIPT, "writer", path]);
  await sleep(300);
  await driver.program().stop("SIGTERM");
  await driver.start(await copyProduct(join(folder.path, "next"), "9.9.9"));
  await servedBy(driver, ".9.9.9");
  const programs = async (): Promise<string> =>
    driver.namespace.run("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep src/mount/");
  const [all, old] = [await programs(), join(import.meta.dirname, "../../src/mount")];
  assert.ok(!all.includes(old) && all.includes(folder.path), all);
  await sleep(300);
  await driver.namespace.run("touch", join(path, "stop"));
  await until("the end of the writer", () => writer.child.exitCode !== null);
  assert.match(writer.output(), /^all \d+ lines$/m);
  const { generation, references } = await statusOf(driver);
  assert.deepEqual({ generation, references }, { generation: 1, references: 1 });
});

test("a version that cannot serve leaves the mounts with the one before", async () => {
  await using folder = await makeFolder();
  await using driver = await startDriver();
  const path = await used(driver);
  const { version } = await statusOf(driver);
  const writer = driver.namespace.start("bash", ["-c", SCRIPT, "writer", path]);
  await sleep(300);
  await driver.program().stop("SIGTERM");
  const broken = { "src/mount/serve.ts": "throw new Error('this version is broken');\n" };
  await driver.start(await copyProduct(join(folder.path, "broken"), "9.9.9", broken));
  await servedBy(driver, String(version));
  await until("the failure to be told", () =>
    driver.program().output().includes("stays with the version"),
  );
  await driver.namespace.run("touch", join(path, "stop"));
  await until("the end of the writer", () => writer.child.exitCode !== null);
  assert.match(writer.output(), /^all \d+ lines$/m);
});
