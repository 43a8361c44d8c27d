import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { RateLimit } from "../../src/base/rate-limit.ts";

/** Milliseconds that pass in a test are fewer than this. */
const SLACK_MS = 5000;

test("bytes beyond a tenth of a second's worth wait as long as the rate says", () => {
  const limit = new RateLimit(1000);
  assert.ok(limit.reserve(100) <= 0);
  const wait = limit.reserve(100_000);
  assert.ok(wait <= 100_000 && wait > 100_000 - SLACK_MS, `${wait}`);
  const next = limit.reserve(1000);
  assert.ok(next <= 101_000 && next > 101_000 - SLACK_MS, `${next}`);
});

test("what is given back does not make others wait", () => {
  const limit = new RateLimit(1000);
  limit.reserve(100_000);
  limit.giveBack(99_900);
  assert.ok(limit.reserve(1) < SLACK_MS);
});

test("without a rate nothing waits, and a rate can come later", async () => {
  const limit = new RateLimit(0);
  assert.equal(limit.reserve(1e12), 0);
  await limit.take(1e12);
  limit.setRate(1000);
  assert.ok(limit.reserve(100_000) > SLACK_MS);
});

test("a thread that is given the memory shares the limit", async () => {
  const limit = new RateLimit(1000);
  const code = `
    const { workerData } = require("node:worker_threads");
    import(workerData.module).then(({ RateLimit }) => new RateLimit(0, workerData.memory).reserve(100_000));
  `;
  const module = new URL("../../src/base/rate-limit.ts", import.meta.url).href;
  const worker = new Worker(code, { eval: true, workerData: { module, memory: limit.memory } });
  await new Promise((resolve) => worker.once("exit", resolve));
  assert.ok(limit.reserve(1) > SLACK_MS);
});

test("waiting for a limit ends when the caller gives up", async () => {
  const limit = new RateLimit(1);
  await assert.rejects(limit.take(1000, AbortSignal.abort()), { name: "AbortError" });
});
