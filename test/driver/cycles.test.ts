import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { mountId, startDriver, type TestDriver } from "../support/driver.ts";
import { until } from "../support/process.ts";

/** Mounting and unmounting again and again leaves nothing behind. */

const CYCLES = Number(process.env["JUICEFS_TEST_CYCLES"] ?? 12);
/** What is compiled and cached once belongs to the first ones. */
const WARM_UP = 5;
const GROWTH_MAX = 40 << 20;

interface Footprint {
  readonly mounts: number;
  readonly processes: number;
  readonly descriptors: number;
  readonly memory: number;
}

function footprint({ namespace, program }: TestDriver): Footprint {
  const pid = program().pid();
  const [, resident = "0"] = readFileSync(`/proc/${pid}/statm`, "utf8").split(" ");
  return {
    mounts: namespace.mounts().length,
    processes: namespace.pids().length,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    memory: Number(resident) * 4096,
  };
}

async function cycle(driver: TestDriver, number: number): Promise<void> {
  const use = { Name: "again", ID: mountId("a") };
  const { Mountpoint = "" } = await driver.done("VolumeDriver.Mount", use);
  await writeFile(driver.namespace.path(join(Mountpoint, `file${number % 10}`)), String(number));
  await driver.done("VolumeDriver.Unmount", use);
  await until("nothing of it to be left", async () => {
    const { Volume } = await driver.done("VolumeDriver.Get", { Name: "again" });
    const mounted = driver.namespace
      .mounts()
      .some((line) => /fuse\.juicefs|tmpfs juicefs /.test(line));
    return Volume?.Status?.["state"] === "idle" && !mounted;
  });
}

test(`after ${CYCLES} mounts and unmounts there is no more than before`, async () => {
  await using driver = await startDriver({ JUICEFS_GRACE: "0s" });
  await driver.done("VolumeDriver.Create", { Name: "again", Opts: null });
  for (let number = 0; number < WARM_UP; number++) await cycle(driver, number);
  const before = footprint(driver);
  for (let number = 0; number < CYCLES; number++) await cycle(driver, number);
  await until("the processes to end", () => footprint(driver).processes <= before.processes);
  const after = footprint(driver);
  process.stdout.write(`# before ${JSON.stringify(before)} after ${JSON.stringify(after)}\n`);
  assert.equal(after.mounts, before.mounts);
  assert.ok(after.descriptors <= before.descriptors + 2, "descriptors");
  assert.ok(after.memory - before.memory < GROWTH_MAX, "memory");
  const run = driver.namespace.path("/run/juicefs");
  assert.deepEqual(readdirSync(run), [], "folders of mounts");
});
