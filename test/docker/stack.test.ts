import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { minioBinary } from "../support/binaries.ts";
import {
  buildPlugin,
  IMAGE,
  importProgram,
  startNetworkedEngine,
  unused,
  volumeStatus,
  type TestEngine,
} from "../support/engine.ts";
import { MINIO_PASSWORD, MINIO_USER } from "../support/minio.ts";
import { until } from "../support/process.ts";

/** Compose, Swarm, and stores that are containers of the engine whose plugin needs them, with the managed plugin. */

const EXAMPLES = fileURLToPath(new URL("../../examples", import.meta.url));
const REDIS = "redis://127.0.0.1:6379/1";
const BUCKET = "http://127.0.0.1:9000/shared";

let engine: TestEngine;
before(async () => {
  engine = await startNetworkedEngine();
  await engine.docker("tag", IMAGE, "busybox");
  await engine.docker("plugin", "create", "juicefs", await buildPlugin(engine));
  await engine.docker("plugin", "enable", "juicefs");
});
after(() => engine[Symbol.asyncDispose]());

/** A file beside the others of the test. @returns its path */
async function written(name: string, content: unknown): Promise<string> {
  const path = join(engine.folder, name);
  await writeFile(path, JSON.stringify(content));
  return path;
}

/** Runs docker-compose with a file of the examples, without networks. */
async function compose(example: string, ...args: readonly string[]): Promise<string> {
  const services = { app: { network_mode: "none" } };
  const override = await written("override.json", { services });
  const files = ["-f", join(EXAMPLES, example), "-f", override];
  const host = ["--host", "unix:///run/docker.sock"];
  const env = ["JUICEFS_DRIVER=juicefs:latest", "docker-compose"];
  return engine.namespace.run("env", ...env, ...host, "-p", "example", ...files, ...args);
}

/** Starts Redis and MinIO as containers that come back with the engine. */
async function startStores(): Promise<void> {
  await importProgram(engine, "/usr/bin/redis-server", "redis");
  await importProgram(engine, minioBinary(), "minio");
  const stays = ["run", "--detach", "--network", "host", "--restart", "always"];
  await engine.docker(
    ...[...stays, "--name", "redis", "-v", "/data", "redis"],
    ...["/bin/redis-server", "--dir", "/data", "--appendonly", "yes", "--bind", "127.0.0.1"],
  );
  const user = [
    "-e",
    `MINIO_ROOT_USER=${MINIO_USER}`,
    "-e",
    `MINIO_ROOT_PASSWORD=${MINIO_PASSWORD}`,
  ];
  await engine.docker(
    ...[...stays, "--name", "minio", ...user, "-v", "/data", "minio"],
    ...["/bin/minio", "server", "--quiet", "--address", "127.0.0.1:9000", "/data"],
  );
}

function remote(): string[] {
  const options = {
    ...{ metaurl: REDIS, storage: "minio", bucket: BUCKET, verify: "false" },
    ...{ "access-key": MINIO_USER, "secret-key": MINIO_PASSWORD },
  };
  return Object.entries(options).flatMap(([name, value]) => ["--opt", `${name}=${value}`]);
}

test("compose makes the volume of the example, and keeps its data over down -v", async () => {
  for (const starts of [1, 2]) {
    await compose("embedded.yaml", "up", "-d");
    // A second time is no change of configuration.
    await compose("embedded.yaml", "up", "-d");
    await until("the container to write", async () => {
      const lines = await engine.docker(
        "exec",
        "example_app_1",
        "sh",
        "-c",
        "wc -l < /data/starts",
      );
      return Number(lines) === starts;
    });
    await compose("embedded.yaml", "down", "-v", "--timeout", "0");
    assert.equal(await engine.docker("volume", "ls", "--quiet", "--filter", "name=example"), "");
  }
});

test("a volume on Redis and MinIO in containers of the same engine waits for them", async () => {
  await engine.docker("volume", "create", "--driver", "juicefs", ...remote(), "remote");
  const starting = engine.docker(
    "run",
    "--rm",
    "--network",
    "none",
    "-v",
    "remote:/data",
    IMAGE,
    "sh",
    "-c",
    "echo first > /data/a",
  );
  starting.catch(() => undefined);
  await startStores();
  await starting;
  assert.equal(await engine.inContainer(["-v", "remote:/data"], "cat /data/a"), "first");
});

test("the tasks of a service share a volume, which outlives the service", async () => {
  await engine.docker(
    "swarm",
    "init",
    "--advertise-addr",
    "127.0.0.1",
    "--listen-addr",
    "127.0.0.1:2377",
  );
  const volume = [
    "type=volume,src=tasks,dst=/data,volume-driver=juicefs:latest,volume-opt=trash-days=0",
  ];
  const script = "hostname >> /data/tasks; exec sleep 10000";
  await engine.docker(
    ...["service", "create", "--detach", "--name", "web", "--replicas", "3", "--network", "host"],
    ...[
      "--mount",
      ...volume,
      "--restart-condition",
      "any",
      "--stop-grace-period",
      "1s",
      IMAGE,
      "sh",
      "-c",
      script,
    ],
  );
  await until(
    "three tasks on one mount",
    async () => {
      const status = await volumeStatus(engine, "tasks").catch(() => undefined);
      return status?.["references"] === 3 && status["generation"] === 1;
    },
    60_000,
  );
  const started = async (): Promise<number> =>
    Number(await engine.inContainer(["-v", "tasks:/data"], "wc -l < /data/tasks"));
  await until("every task to write", async () => (await started()) >= 3, 60_000);
  await engine.docker("service", "scale", "--detach", "web=1");
  let left: unknown;
  await until(
    "one task",
    async () => (left = (await volumeStatus(engine, "tasks"))["references"]) === 1,
    60_000,
  ).catch(async (cause: unknown) => {
    const tasks = await engine.docker("service", "ps", "web");
    const containers = await engine.docker("ps", "--all", "--filter", "volume=tasks");
    throw new Error(`${String(left)} users are left:\n${tasks}\n${containers}`, { cause });
  });
  await engine.docker("service", "rm", "web");
  await unused(engine, "tasks");
  assert.ok((await started()) >= 3);
});
