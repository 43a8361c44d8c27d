import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { makeFolder } from "../support/folder.ts";
import { makeNamespace } from "../support/namespace.ts";
import { until } from "../support/process.ts";

const DEMO = fileURLToPath(new URL("../../src/driver/demo.ts", import.meta.url));

test("what make run starts shows a file written and read, and leaves nothing behind", async () => {
  await using folder = await makeFolder();
  await using namespace = await makeNamespace();
  const state = join(folder.path, "state");
  // Without a Docker engine, whatever the machine has.
  const env = { JUICEFS_STATE: state, DOCKER_HOST: "unix:///run/none.sock" };
  for (let time = 0; time < 2; time++) {
    const demo = namespace.start(process.execPath, [DEMO], env);
    await until("the demonstration", () => {
      assert.equal(demo.child.exitCode, null, demo.output());
      return demo.output().includes("serves until Ctrl-C");
    });
    assert.match(demo.output(), /read {2}a file in Redis and blocks/);
    await demo.stop("SIGINT");
    assert.equal(demo.child.exitCode, 0);
    assert.match(demo.output(), /Everything is unmounted/);
    await until("the end of every process", () => namespace.pids().length === 0);
    assert.ok(!namespace.mounts().some((line) => line.includes("juicefs")));
  }
});
