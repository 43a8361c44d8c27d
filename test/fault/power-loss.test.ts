import assert from "node:assert/strict";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { log } from "../../src/base/log.ts";
import { FileStorage } from "../../src/object/file.ts";
import { mountId, startDriver, type TestDriver } from "../support/driver.ts";
import { makeNamespace } from "../support/namespace.ts";
import { juicefs } from "../support/mount.ts";
import { startProgram, until } from "../support/process.ts";
import { makeMachine } from "./power/machine.ts";
import { makePowerDisk } from "./power/power-disk.ts";
import { keyIn, stateFileIn } from "./power/saver.ts";

// The driver's Redis is expected to say how it found its file.
log.level = process.env["JUICEFS_LOG_LEVEL"] ?? "silent";

/** A power loss takes nothing that was acknowledged: of files, and of what the driver keeps for itself. */

/** Power losses of each kind. */
const LOSSES = Number(process.env["JUICEFS_TEST_POWER_LOSSES"] ?? 2);
const FIRST = Number(process.env["JUICEFS_TEST_SEED"] ?? 1);

interface Configuration {
  readonly name: string;
  readonly format?: readonly string[];
  readonly mount?: readonly string[];
}

const CONFIGURATIONS: readonly Configuration[] = [
  { name: "objects in a folder", format: ["--trash-days", "0"] },
  { name: "write-back", mount: ["--writeback"] },
  { name: "write-back, not uploaded yet", mount: ["--writeback", "--upload-delay", "1h"] },
];

for (const { name, format = [], mount = [] } of CONFIGURATIONS) {
  test(`what was acknowledged is there after power losses: ${name}`, async (t) => {
    await using machine = await makeMachine(format);
    await machine.boot(mount);
    for (let seed = FIRST; seed < FIRST + LOSSES; seed++) {
      await machine.workUntilPowerLoss(seed);
      await machine.boot(mount);
      assert.deepEqual(await machine.wrong(), [], `seed ${seed}`);
    }
    await machine.upload();
    await juicefs("fsck", machine.metaUrl);
    assert.deepEqual(await machine.wrong(), []);
    t.diagnostic(`${machine.steps()} steps acknowledged`);
  });
}

for (const { name, mount = [] } of [
  { name: "objects", mount: ["--no-storage-sync"] },
  { name: "staged blocks", mount: ["--writeback", "--upload-delay", "1h", "--no-writeback-sync"] },
]) {
  test(`${name} are lost where they need not be synced: the disk does what it should`, async () => {
    await using machine = await makeMachine([]);
    await machine.boot(mount);
    await machine.workUntilPowerLoss(1);
    await machine.boot(mount);
    assert.notDeepEqual(await machine.wrong(), []);
    await assert.rejects(juicefs("fsck", machine.metaUrl), /objects are missing/);
  });
}

test("what the driver saved and its key are there after power losses", async (t) => {
  await using disk = await makePowerDisk();
  const program = fileURLToPath(new URL("power/saver.ts", import.meta.url));
  let saved = 0;
  let key: string | undefined;
  for (let seed = FIRST; seed < FIRST + LOSSES * 5; seed++) {
    const saver = startProgram(process.execPath, [program, disk.path, String(saved + 1)]);
    await until("it saves", () => saver.output().split("\n").length > 3);
    await sleep(Math.random() * 100);
    await disk.losePower(seed % 2 === 1 ? 0 : seed, () => {
      saver.child.kill("SIGKILL");
    });
    await saver.stop();
    const [itsKey, ...numbers] = saver.output().trimEnd().split("\n");
    key ??= itsKey;
    assert.equal(itsKey, key);
    assert.equal((await keyIn(disk.path)).toString("hex"), key);
    const found = stateFileIn(disk.path).load()?.number ?? 0;
    const last = Number(numbers.at(-1));
    assert.ok(found === last || found === last + 1, `seed ${seed}: ${found}, not ${last}`);
    saved = found;
  }
  t.diagnostic(`${saved} states saved`);
});

test("volumes that the driver made are there after a power loss, with what containers stored", async () => {
  await using disk = await makePowerDisk();
  const env = { JUICEFS_STATE: join(disk.path, "lib/juicefs"), JUICEFS_VOLUMES: "/run/volumes" };
  const start = async (): Promise<TestDriver> =>
    startDriver(env, { namespace: await makeNamespace({ keep: disk.path }) });
  const mounted = async (driver: TestDriver, name: string): Promise<string> => {
    const user = { Name: name, ID: mountId("1") };
    const { Mountpoint = "" } = await driver.done("VolumeDriver.Mount", user);
    return driver.namespace.path(Mountpoint);
  };
  const names: string[] = [];
  for (let losses = 0; ; losses++) {
    const driver = await start();
    try {
      for (const name of names) {
        const path = join(await mounted(driver, name), "file");
        assert.equal(await readFile(path, "utf8"), `contents of ${name}`);
      }
      if (losses * 2 >= LOSSES) break;
      const name = `volume${names.length}`;
      await driver.done("VolumeDriver.Create", {
        Name: name,
        Opts: { "rsa-passphrase": "secret" },
      });
      const file = join(await mounted(driver, name), "file");
      await writeFile(file, `contents of ${name}`, { flush: true });
      names.push(name);
      await disk.losePower(losses % 2 === 0 ? 0 : losses, () => {
        for (const pid of driver.namespace.pids()) process.kill(pid, "SIGKILL");
      });
    } finally {
      await driver.namespace[Symbol.asyncDispose]();
    }
  }
});

test("an object is there also where its folders were removed and made again", async () => {
  await using disk = await makePowerDisk();
  const root = join(disk.path, "a/b");
  const storage = new FileStorage(root, { sync: true });
  await storage.prepare();
  for (const gone of ["a/b/c", "a"]) {
    await storage.put("c/d/object", [Buffer.from("contents")]);
    await rm(join(disk.path, gone), { recursive: true });
    await storage.put("c/d/object", [Buffer.from("contents")]);
    await disk.losePower();
    const into = Buffer.alloc(8);
    await storage.get("c/d/object", into);
    assert.equal(into.toString(), "contents");
  }
});

test("an object counts only when all of its folders are on the disk, also where others sync them", async () => {
  await using disk = await makePowerDisk();
  const folder = Array.from({ length: 40 }, (_, level) => `level${level}`).join("/");
  const storage = new FileStorage(join(disk.path, "objects"), { sync: true });
  await storage.prepare();
  const stored: string[] = [];
  const first = Promise.withResolvers<void>();
  const puts = Array.from({ length: 8 }, async (_, number) => {
    const key = `${folder}/object${number}`;
    await sleep(number);
    await storage.put(key, [Buffer.from("contents")]);
    stored.push(key);
    first.resolve();
  });
  const ended = Promise.allSettled(puts);
  await first.promise;
  await disk.losePower();
  await ended;
  for (const key of stored) assert.equal((await storage.head(key)).size, 8);
});
