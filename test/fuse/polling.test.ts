import assert from "node:assert/strict";
import { test } from "node:test";
import { Polling } from "../../src/fuse/polling.ts";
import { until } from "../support/process.ts";

async function ends(polling: Polling): Promise<void> {
  await until("it to stop looking", () => !polling.looking);
}

test("what comes next is looked for, for a moment", async () => {
  const polling = new Polling(() => true);
  assert.equal(polling.looking, false);
  for (const expect of ["awaitAnswer", "awaitNext"] as const) {
    polling[expect]();
    assert.equal(polling.looking, true);
    await ends(polling);
  }
});

test("while others need the processors nothing is looked for", async () => {
  let allowed = false;
  const polling = new Polling(() => allowed);
  polling.awaitAnswer();
  assert.equal(polling.looking, false);
  allowed = true;
  polling.awaitAnswer();
  assert.equal(polling.looking, true);
  allowed = false;
  await ends(polling);
});

test("where nothing comes in time it is left, but for a try now and then, and begun again when that pays", async () => {
  const polling = new Polling(() => true);
  const tried = async (times: number, paid: boolean): Promise<number> => {
    let count = 0;
    for (let time = 0; time < times; time++) {
      polling.awaitAnswer();
      if (!polling.looking) continue;
      count++;
      // What comes while it looks has paid.
      for (let more = 0; more < (paid ? 50 : 0); more++) polling.awaitNext();
      await ends(polling);
    }
    return count;
  };
  await tried(50, false);
  assert.equal(await tried(640, false), 10);
  assert.ok((await tried(64, true)) > 0);
  assert.equal(await tried(10, true), 10);
});
