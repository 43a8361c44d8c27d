import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { officialJuicefs } from "../support/mount.ts";
import { until } from "../support/process.ts";
import { recount } from "../support/recount.ts";

/**
 * The official client finds nothing wrong, and what is counted along is what a count finds. `theirs`: directories that only the
 * official client changed: there more bytes may be counted than there are, for alone on a volume it counts some twice too.
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
    const wrong = (await recount(redis)).filter((line) => !isOvercounted(line, theirs));
    assert.deepEqual(wrong, []);
  } finally {
    redis.disconnect();
  }
}

function isOvercounted(line: string, theirs: ReadonlySet<number>): boolean {
  const numbers = /^statistics of (\d+): (\d+) (\d+) (\d+), counted (\d+) (\d+) (\d+)$/.exec(line);
  const [ino = 0, length = 0, space = 0, inodes = 0, ...counted] = (numbers ?? [])
    .slice(1)
    .map(Number);
  const [realLength = 0, realSpace = 0, realInodes = -1] = counted;
  return theirs.has(ino) && length >= realLength && space >= realSpace && inodes === realInodes;
}
