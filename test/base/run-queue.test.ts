import assert from "node:assert/strict";
import { test } from "node:test";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { RunQueue, runnable } from "../../src/base/run-queue.ts";
import { until } from "../support/process.ts";

test("the tasks that want a processor are read from the kernel's line", () => {
  assert.equal(runnable("0.04 0.10 0.08 2/312 1234\n"), 2);
  assert.equal(runnable("12.00 0.10 0.08 128/3120 99999\n"), 128);
});

test("where more tasks want a processor than there are, there is no room", async () => {
  const tasks = new RunQueue();
  const busy = Array.from(
    { length: availableParallelism() + 2 },
    () => new Worker("for (;;);", { eval: true }),
  );
  try {
    await until("the tasks to count", () => !tasks.hasRoom);
    assert.ok(tasks.average > availableParallelism());
  } finally {
    await Promise.all(busy.map((worker) => worker.terminate()));
  }
});
