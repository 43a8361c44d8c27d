import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { test } from "node:test";
import { mountFolder } from "../../src/mount/control.ts";
import { listenJobs, runOnMount } from "../../src/mount/jobs.ts";
import { silent } from "../../src/volume/progress.ts";
import { makeFolder } from "../support/folder.ts";

/** Jobs that a mount is asked for end when whoever asked goes away. */

test(
  "who asks a mount and gives up is told so at once, and the job ends",
  { timeout: 10_000 },
  async (t) => {
    await using folder = await makeFolder();
    const before = process.env["JUICEFS_RUN"];
    process.env["JUICEFS_RUN"] = folder.path;
    t.after(() => {
      if (before === undefined) delete process.env["JUICEFS_RUN"];
      else process.env["JUICEFS_RUN"] = before;
    });
    mkdirSync(mountFolder("/mnt"), { recursive: true });
    const begun = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<never>();
    ended.promise.catch(() => undefined);
    const server = await listenJobs("/mnt", (_, { signal }) => {
      signal.addEventListener("abort", () => ended.reject(signal.reason), { once: true });
      begun.resolve();
      return ended.promise;
    });
    t.after(() => server.close());
    const given = new AbortController();
    const job = { job: "compact", ino: "1", threads: 1 } as const;
    const asked = runOnMount("/mnt", job, { progress: silent, signal: given.signal });
    await begun.promise;
    given.abort(new Error("Ended by SIGINT"));
    await assert.rejects(asked, /Ended by SIGINT/);
    await assert.rejects(ended.promise, /went away/);
  },
);
