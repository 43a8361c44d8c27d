import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { officialJuicefs } from "../support/mount.ts";
import { until } from "../support/process.ts";
import { recount } from "../support/recount.ts";

/**
 * The official client finds nothing wrong, and what is counted along is what a count finds. `theirs`: directories that only the
 * official client changed; alone on a volume it counts some of what it writes twice too.
 */
export async function checkVolume(
  metaUrl: string,
  theirs: ReadonlySet<number> = new Set(),
): Promise<void> {
  const { stderr } = await officialJuicefs("fsck", metaUrl);
  assert.doesNotMatch(stderr, /ERROR|FATAL/);
  const redis = new Redis(metaUrl, { protocol: 2 });
  try {
    await until("what was removed is gone", async () => (await redis.zcard("delfiles")) === 0);
    const wrong = (await recount(redis)).filter((line) => {
      const [, ino] = /^statistics of (\d+):/.exec(line) ?? [];
      return !theirs.has(Number(ino));
    });
    assert.deepEqual(wrong, []);
  } finally {
    redis.disconnect();
  }
}
