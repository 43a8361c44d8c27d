import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Client } from "minio";
import { BlockJobs } from "../../src/chunk/block-jobs.ts";
import { ObjectMissing } from "../../src/object/storage.ts";
import { startFaultyProxy, type Fault, type FaultyProxy } from "../support/faulty-proxy.ts";
import { MINIO_PASSWORD, MINIO_USER, startMinio, type TestMinio } from "../support/minio.ts";
import { formatTestVolume, mountVolume, officialJuicefs } from "../support/mount.ts";

/** An object store that answers slowly, wrongly, by half or not at all. */

const KEY = "chunks/0/0/1_0_100000";
const DATA = randomBytes(100_000);
const TRIES = 2;

interface Jobs extends AsyncDisposable {
  readonly put: () => Promise<void>;
  readonly get: () => Promise<Uint8Array>;
  readonly delete: () => Promise<void>;
}

async function openJobs(
  endpoint: string,
  driver: string,
  { compression = "none", timeoutMs = 10_000 } = {},
): Promise<Jobs> {
  const jobs = await BlockJobs.open({
    storage: {
      ...{ Name: driver, Storage: driver, Bucket: `${endpoint}/data` },
      ...{ AccessKey: MINIO_USER, SecretKey: MINIO_PASSWORD, SessionToken: "" },
    },
    ...{ compression, spoolFd: -1, ioRetries: TRIES - 1 },
    ...{ putTimeoutMs: timeoutMs, getTimeoutMs: timeoutMs },
  });
  return {
    put: () => jobs.run({ kind: "put", key: KEY, size: DATA.length, bytes: DATA }),
    async get() {
      const into = new Uint8Array(new SharedArrayBuffer(DATA.length));
      await jobs.run({ kind: "get", key: KEY, into });
      return into;
    },
    delete: () => jobs.run({ kind: "delete", key: KEY }),
    [Symbol.asyncDispose]: () => jobs.close(),
  };
}

/** The first `count` requests of a kind meet a fault. */
function firstOnes(proxy: FaultyProxy, method: string, count: number, fault: Fault): void {
  let left = count;
  proxy.seen.length = 0;
  proxy.plan = (asked) => (asked === method && left-- > 0 ? fault : undefined);
}

interface Place extends AsyncDisposable {
  readonly minio: TestMinio;
  readonly proxy: FaultyProxy;
}

async function startPlace(): Promise<Place> {
  const minio = await startMinio();
  const proxy = await startFaultyProxy(minio.endpoint);
  const address = { endPoint: "127.0.0.1", port: minio.port, useSSL: false, region: "us-east-1" };
  const bare = new Client({ ...address, accessKey: MINIO_USER, secretKey: MINIO_PASSWORD });
  await bare.makeBucket("data");
  return {
    ...{ minio, proxy },
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await minio[Symbol.asyncDispose]();
    },
  };
}

const PASSING: readonly [string, Fault][] = [
  ["500", { kind: "status", status: 500 }],
  ["503", { kind: "status", status: 503 }],
  ["a reset connection", { kind: "reset" }],
  ["an answer that is lost", { kind: "lost" }],
  ["half an answer", { kind: "cut", bytes: 50_000 }],
  ["wrong bytes", { kind: "flip", at: 77_777 }],
];

test("what fails once is tried again, and whole", async () => {
  await using place = await startPlace();
  const { proxy } = place;
  for (const [driver, compression] of [
    ["s3", "none"],
    ["minio", "zstd"],
  ] as const) {
    await using jobs = await openJobs(proxy.endpoint, driver, { compression });
    for (const [name, fault] of PASSING) {
      const told = `${driver} ${compression}: ${name}`;
      firstOnes(proxy, "PUT", 1, fault);
      await jobs.put();
      firstOnes(proxy, "GET", 1, fault);
      assert.ok(DATA.equals(await jobs.get()), told);
      assert.equal(proxy.seen.length, 2, told);
    }
  }
});

test("what fails again and again ends with an error that names the object and the cause", async () => {
  await using place = await startPlace();
  const { proxy } = place;
  const final: readonly [Fault, RegExp][] = [
    [{ kind: "status", status: 503 }, /SlowDown|Not now/],
    [{ kind: "reset" }, /ECONNRESET|socket hang up/],
    [{ kind: "cut", bytes: 10 }, /aborted|cut off/],
    [{ kind: "flip", at: 5 }, /it is damaged, its checksum is \d+ instead of \d+/],
    [{ kind: "slow", ms: 1500 }, /no answer in time/],
  ];
  for (const driver of ["s3", "minio"]) {
    {
      await using well = await openJobs(proxy.endpoint, driver);
      proxy.plan = () => undefined;
      await well.put();
    }
    await using jobs = await openJobs(proxy.endpoint, driver, { timeoutMs: 500 });
    for (const [fault, cause] of final) {
      firstOnes(proxy, "GET", Infinity, fault);
      const error: unknown = await jobs.get().catch((found: unknown) => found);
      assert.ok(error instanceof Error, `${driver} ${fault.kind}`);
      assert.match(error.message, new RegExp(`^Cannot read object ".*${KEY}"`));
      assert.match(error.message, cause, `${driver} ${fault.kind}`);
      assert.equal(proxy.seen.length, TRIES, `${driver} ${fault.kind}`);
    }
    firstOnes(proxy, "PUT", Infinity, { kind: "status", status: 500 });
    await assert.rejects(jobs.put(), new RegExp(`^Error: Cannot write object ".*${KEY}"`));
    firstOnes(proxy, "DELETE", Infinity, { kind: "reset" });
    await assert.rejects(jobs.delete(), new RegExp(`^Error: Cannot delete object ".*${KEY}"`));
    firstOnes(proxy, "DELETE", Infinity, { kind: "slow", ms: 3000 });
    await assert.rejects(jobs.delete(), /Cannot delete object .*: no answer in time/);
  }
});

test("an object that is not there is told at once", async () => {
  await using place = await startPlace();
  for (const driver of ["s3", "minio"]) {
    await using jobs = await openJobs(place.proxy.endpoint, driver);
    place.proxy.seen.length = 0;
    await assert.rejects(jobs.get(), ObjectMissing);
    assert.equal(place.proxy.seen.length, 1);
    await jobs.delete();
  }
});

test("a mount waits for a store that fails for a while, tells what it cannot store, and goes on then", async () => {
  await using place = await startPlace();
  const { proxy, minio } = place;
  const keys = ["--access-key", MINIO_USER, "--secret-key", MINIO_PASSWORD];
  const format = ["--storage", "minio", "--bucket", minio.bucket("data"), ...keys];
  await using volume = await formatTestVolume({ format: [...format, "--trash-days", "0"] });
  const mountOptions = ["--bucket", `${proxy.endpoint}/data`, "--io-retries", "3"];
  await using mount = await mountVolume(volume, mountOptions);
  const path = (name: string): string => join(mount.path, name);
  const data = randomBytes(300_000);

  let requests = 0;
  proxy.plan = () => (requests++ % 2 === 0 ? { kind: "status", status: 503 } : undefined);
  await writeFile(path("slowly"), data);
  await using unsure = await open(path("unsure"), "w");
  await unsure.write(data);
  proxy.plan = (method) => (method === "PUT" ? { kind: "reset" } : undefined);
  await assert.rejects(unsure.sync(), { code: "EIO" });
  await assert.rejects(unsure.close(), { code: "EIO" });

  proxy.plan = () => undefined;
  await writeFile(path("unsure"), data);
  assert.ok(data.equals(await readFile(path("unsure"))));
  {
    await using other = await mountVolume(volume, mountOptions);
    let cuts = 0;
    proxy.plan = (method) =>
      method === "GET" && cuts++ % 2 === 0 ? { kind: "cut", bytes: 1000 } : undefined;
    assert.ok(data.equals(await readFile(join(other.path, "slowly"))));
    assert.ok(data.equals(await readFile(join(other.path, "unsure"))));
  }
  proxy.plan = () => undefined;
  const fsck = await officialJuicefs("fsck", volume.metaUrl);
  assert.doesNotMatch(fsck.stderr, /<(ERROR|FATAL)>/);
  const gc = await officialJuicefs("gc", volume.metaUrl);
  assert.match(gc.stdout + gc.stderr, / 0 leaked \(0 bytes\)/);
});
