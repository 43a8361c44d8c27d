import assert from "node:assert/strict";
import { test } from "node:test";
import { Redis } from "ioredis";
import { cpuSeconds, familyOf, forgetPeak, peakBytes } from "../../bench/counters/processes.ts";
import { RedisCounter } from "../../bench/counters/redis.ts";
import { readS3Counts, s3Difference } from "../../bench/counters/s3.ts";
import { startMinio } from "../support/minio.ts";
import { startProgram, until } from "../support/process.ts";
import { startRedis } from "../support/redis.ts";

test("round trips to Redis are what a client waited for, not what it or a script executed", async () => {
  await using server = await startRedis();
  const client = new Redis(server.url(), { protocol: 2 });
  const counter = new RedisCounter(server.url());
  try {
    await client.ping();
    const before = await counter.read();
    await client.set("key", "value");
    await client.pipeline().get("key").get("key").get("key").exec();
    await client.eval("redis.call('GET', 'key') return redis.call('GET', 'key')", 0);
    const after = await counter.read();
    assert.equal(after.roundTrips - before.roundTrips, 3);
    assert.equal(after.commands - before.commands, 7);
  } finally {
    counter.close();
    client.disconnect();
  }
});

test("requests to MinIO are counted by kind", async () => {
  await using minio = await startMinio({ env: { MINIO_PROMETHEUS_AUTH_TYPE: "public" } });
  const before = await readS3Counts(minio.endpoint);
  for (let time = 0; time < 3; time++) await fetch(minio.bucket("none") + "/key");
  const counted = async (): Promise<Record<string, number>> => ({
    ...s3Difference(before, await readS3Counts(minio.endpoint)),
  });
  await until("three requests in the metrics", async () => (await counted())["GetObject"] === 3);
  assert.deepEqual(await counted(), { GetObject: 3 });
});

test("CPU time and peak memory are those of a process and its children", async () => {
  const script = `
    const big = Buffer.alloc(64 << 20, 1);
    while (process.cpuUsage().user < 400_000);
    setInterval(() => big, 1000);`;
  const parent = `require("node:child_process").spawn(process.execPath, ["-e", process.argv[1]]);
    setInterval(() => undefined, 1000)`;
  const program = startProgram(process.execPath, ["-e", parent, script]);
  const pid = program.child.pid ?? 0;
  await until("a child", () => familyOf(pid).length === 2);
  const [, child = 0] = familyOf(pid);
  try {
    await until("its memory", () => peakBytes([child]) > 64 << 20);
    await until("its CPU time", () => cpuSeconds(familyOf(pid)) > 0.3);
    assert.ok(peakBytes(familyOf(pid)) > peakBytes([child]));
    forgetPeak([child]);
    assert.ok(peakBytes([child]) > 64 << 20);
  } finally {
    process.kill(child);
    await program.stop();
  }
  assert.equal(cpuSeconds([pid]), 0);
});
