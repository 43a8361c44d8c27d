import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { officialJuicefs } from "../support/mount.ts";
import { until } from "../support/process.ts";
import { recount } from "../support/recount.ts";

/** The official client finds nothing wrong, and what is counted along is what a count finds. */
export async function checkVolume(metaUrl: string): Promise<void> {
  const { stderr } = await officialJuicefs("fsck", metaUrl);
  assert.doesNotMatch(stderr, /ERROR|FATAL/);
  const redis = new Redis(metaUrl, { protocol: 2 });
  try {
    await until("what was removed is gone", async () => (await redis.zcard("delfiles")) === 0);
    assert.deepEqual(await recount(redis), []);
  } finally {
    redis.disconnect();
  }
}
