import assert from "node:assert/strict";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { startDriver, type TestDriver } from "../support/driver.ts";
import { IMAGE, startEngine, unused, volumeStatus, type TestEngine } from "../support/engine.ts";
import { makeFolder } from "../support/folder.ts";
import { MINIO_PASSWORD, MINIO_USER, startMinio, type TestMinio } from "../support/minio.ts";
import { officialJuicefs } from "../support/mount.ts";
import { until } from "../support/process.ts";
import type { ProgramInside } from "../support/namespace.ts";
import { Random } from "../support/random.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

/** Processes of every kind are killed in turn, in an order that a seed gives, while containers write. */

const KILLS = Number(process.env["JUICEFS_TEST_KILLS"] ?? 6);
const SEED = Number(process.env["JUICEFS_TEST_SEED"] ?? Date.now() % 1e6);
const TICKER = fileURLToPath(new URL("../fault/ticker.ts", import.meta.url));
const MOUNTS = fileURLToPath(new URL("../../src/mount", import.meta.url));
const VOLUMES = ["embedded", "remote"] as const;
/** Each line is stored when it is written; a container ends with an error when one is refused or missing. */
const WRITE = `n=0; while [ ! -e /data/stop ]; do echo $n >> /data/$0 || exit 1; n=$((n + 1)); sleep 0.05; done
  i=0; while read -r line; do [ "$line" = $i ] || exit 2; i=$((i + 1)); done < /data/$0; [ $i = $n ]`;

let engine: TestEngine;
let driver: TestDriver;
let redis: TestRedis;
let minio: TestMinio;
const going = new AsyncDisposableStack();

before(async () => {
  const folder = going.use(await makeFolder());
  for (const name of ["redis", "minio"]) await mkdir(join(folder.path, name));
  const durable = [
    "--dir",
    join(folder.path, "redis"),
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
  ];
  redis = await startRedis({ args: durable });
  minio = await startMinio({ folder: join(folder.path, "minio") });
  engine = await startEngine("--live-restore");
  driver = await startDriver({ JUICEFS_GRACE: "1s" }, engine);
  // What runs in the engine's namespace ends before the driver's folder goes.
  going.use(driver);
  going.use(engine);
  going.defer(() => minio[Symbol.asyncDispose]());
  going.defer(() => redis[Symbol.asyncDispose]());
  restart = {
    serving: async () => killOne(await serving(await mountProcesses("serve.ts"))),
    supervisor: async () => killOne(await mountProcesses("supervise.ts")),
    async driver() {
      await driver.program().stop("SIGKILL");
      await driver.start();
    },
    "the driver's Redis": async () => {
      await engine.kill(await engine.processes("redis-server"));
    },
    async redis() {
      await redis.stop("SIGKILL");
      redis = await startRedis({ args: durable, port: redis.port });
    },
    async MinIO() {
      await minio.stop("SIGKILL");
      minio = await startMinio({ folder: join(folder.path, "minio"), port: minio.port });
    },
    async dockerd() {
      await engine.stop("SIGKILL");
      await engine.start("--live-restore");
    },
  };
});
after(() => going.disposeAsync());

let restart: Record<string, () => Promise<void>>;

function mountProcesses(program: string): Promise<number[]> {
  return engine.processes(`${process.execPath} ${MOUNTS}/${program}`);
}

/** Not those that only wait to succeed one. */
async function serving(pids: readonly number[]): Promise<number[]> {
  const test = `readlink /proc/$pid/fd/* | grep -q /last-notice && echo $pid`;
  const found = await engine.namespace.run(
    "sh",
    "-c",
    `for pid in ${pids.join(" ")}; do ${test}; done; true`,
  );
  return found.trim().split("\n").map(Number);
}

async function killOne(pids: readonly number[]): Promise<void> {
  await engine.kill([pids[random.below(pids.length)] ?? 0]);
}

const random = new Random(SEED);

function options(volume: (typeof VOLUMES)[number]): string[] {
  if (volume === "embedded") return [];
  const given = {
    ...{ metaurl: redis.url(1), storage: "minio", bucket: minio.bucket("soak") },
    ...{ "access-key": MINIO_USER, "secret-key": MINIO_PASSWORD },
  };
  return Object.entries(given).flatMap(([name, value]) => ["--opt", `${name}=${value}`]);
}

/** The longest that a ticker waited since it was asked last. */
async function longest(ticker: ProgramInside): Promise<number> {
  const told = (): string[] => ticker.output().match(/\d+ ms/g) ?? [];
  const before = told().length;
  process.kill(ticker.pid(), "SIGUSR2");
  await until("the ticker's answer", () => told().length > before);
  return Number.parseInt(told().at(-1) ?? "", 10);
}

/** What must be true between two kills: somebody serves every volume again. */
async function served(): Promise<void> {
  await until(
    "all volumes to be served",
    async () => {
      const all = await Promise.all(
        VOLUMES.map((name) => volumeStatus(engine, name).catch(() => undefined)),
      );
      return all.every((status) => status?.["state"] === "serving");
    },
    60_000,
  );
}

test(`${KILLS} kills with seed ${SEED}: no writer sees an error, every record is there, nothing is left`, async () => {
  const tickers: ProgramInside[] = [];
  for (const volume of VOLUMES) {
    await engine.docker("volume", "create", "--driver", "juicefs", ...options(volume), volume);
    for (const number of [1, 2]) {
      const name = `${volume}${number}`;
      const run = [
        "run",
        "--detach",
        "--network",
        "none",
        "--name",
        name,
        "-v",
        `${volume}:/data:nocopy`,
      ];
      await engine.docker(...run, IMAGE, "sh", "-c", WRITE, name);
    }
    const { hostPath } = await volumeStatus(engine, volume);
    tickers.push(engine.namespace.start(process.execPath, [TICKER, String(hostPath)]));
  }
  await until("both to write", () => tickers.every((ticker) => ticker.pid() > 0));
  await sleep(1000);
  for (const ticker of tickers) await longest(ticker);
  const pauses: Record<string, number[]> = {};
  const kinds = Object.keys(restart);
  for (let kill = 0; kill < KILLS; kill++) {
    const kind = kinds[kill < kinds.length ? kill : random.below(kinds.length)] ?? "";
    await restart[kind]?.();
    await sleep(300 + random.below(500));
    await served();
    const waited = await Promise.all(tickers.map((ticker) => longest(ticker)));
    (pauses[kind] ??= []).push(Math.max(...waited));
  }
  for (const [kind, all] of Object.entries(pauses)) {
    const sorted = all.toSorted((one, other) => one - other);
    const median = sorted[sorted.length >> 1];
    process.stdout.write(
      `# ${kind}: ${all.length} kills, longest pause ${sorted.at(-1)} ms, median ${median} ms\n`,
    );
  }
  for (const ticker of tickers) {
    await ticker.stop();
    assert.equal(ticker.child.exitCode, 0, ticker.output());
  }
  for (const volume of VOLUMES) await endsClean(volume);
  await nothingLeft();
});

async function endsClean(volume: (typeof VOLUMES)[number]): Promise<void> {
  await engine.inContainer(["-v", `${volume}:/data`], "touch /data/stop");
  for (const number of [1, 2]) {
    const name = `${volume}${number}`;
    assert.equal(await engine.docker("wait", name), "0", `${name} lost a line or saw an error`);
    await engine.docker("rm", name);
  }
  await unused(engine, volume);
  const state = driver.namespace.path(`${driver.state}/redis/redis.sock`);
  const url = volume === "remote" ? redis.url(1) : `unix://${state}?db=0`;
  await until(
    `${volume} to be unmounted`,
    async () => (await volumeStatus(engine, volume))["state"] === "idle",
  );
  await officialJuicefs("fsck", url);
  const { stderr } = await officialJuicefs("gc", url);
  assert.match(stderr, / 0 leaked /);
}

async function nothingLeft(): Promise<void> {
  await until("the mounts to be gone", () => {
    return !engine.namespace
      .mounts()
      .some((line) => / - (fuse\.juicefs|tmpfs juicefs) /.test(line));
  });
  assert.deepEqual(await readdir(engine.namespace.path("/run/juicefs")), [], "folders of mounts");
  await until("their processes to be gone", async () => {
    return (await engine.processes(`${process.execPath} ${MOUNTS}`)).length === 0;
  });
}
