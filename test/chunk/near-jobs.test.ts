import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { BlockJob, JobRunner } from "../../src/chunk/block-jobs.ts";
import { NearJobs } from "../../src/chunk/near-jobs.ts";

const PUT: BlockJob = { kind: "put", key: "k", size: 1, bytes: new Uint8Array(1) };

/** Both runners of a `NearJobs`, and what they did. */
function runners({ path, takes }: { path: string | undefined; takes: () => number }): {
  readonly jobs: NearJobs;
  readonly done: { near: number; far: number };
} {
  const done = { near: 0, far: 0 };
  const rest = { useStorage: () => Promise.resolve(), close: () => Promise.resolve() };
  const far: JobRunner = {
    ...rest,
    run: () => {
      done.far++;
      return Promise.resolve();
    },
  };
  const near = {
    ...rest,
    run: async (): Promise<void> => {
      done.near++;
      await sleep(takes());
    },
    isCheap: ({ kind }: BlockJob) => kind !== "delete",
    localPath: () => path,
  };
  return { jobs: new NearJobs(near, far), done };
}

test("a folder that is slow to take files is left to other threads, and tried again", async () => {
  let ms = 400;
  const { jobs, done } = runners({ path: "/k", takes: () => ms });
  await jobs.run(PUT);
  for (let count = 0; count < 63; count++) await jobs.run(PUT);
  assert.deepEqual(done, { near: 1, far: 63 });
  ms = 0;
  // Each try that is quick makes it less slow.
  for (let count = 0; count < 64 * 6; count++) await jobs.run(PUT);
  const before = done.far;
  await jobs.run(PUT);
  assert.equal(done.far, before);
});

test("a request to a server is waited for here, however long it takes; a dear job is done elsewhere", async () => {
  const { jobs, done } = runners({ path: undefined, takes: () => 60 });
  for (let count = 0; count < 4; count++) await jobs.run(PUT);
  await jobs.run({ kind: "delete", key: "k" });
  assert.deepEqual(done, { near: 4, far: 1 });
});
