import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { wallClock } from "../../src/base/clock.ts";

test("the clock goes forward with every reading and stays in the machine's millisecond", async () => {
  let before = 0n;
  for (let round = 0; round < 50; round++) {
    for (let reading = 0; reading < 200; reading++) {
      const earliest = Date.now();
      const { sec, nsec } = wallClock();
      const now = BigInt(sec) * 1_000_000_000n + BigInt(nsec);
      assert.ok(now > before, `${now} is not after ${before}`);
      assert.ok(now >= BigInt(earliest) * 1_000_000n, `${now} lies before ${earliest} ms`);
      assert.ok(now <= BigInt(Date.now() + 2) * 1_000_000n, `${now} lies in the future`);
      before = now;
    }
    await sleep(0.3);
  }
});
