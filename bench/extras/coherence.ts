import { join } from "node:path";
import { mkdir } from "node:fs/promises";
import { formatTestVolume, mountVolume } from "../../test/support/mount.ts";
import type { ChangeKind } from "../load/coherence-tasks.ts";
import { LoadPool } from "../load/pool.ts";
import { short } from "../report/table.ts";
import type { Extra, ExtraOptions, ExtraResult } from "./extra.ts";

/** How long the other of two mounts of our client shows the old state after a change was answered. */
export const coherence: Extra = {
  name: "coherence",
  title: "until the other mount sees a change",
  measure,
};

const CHANGES = {
  create: "a new file",
  unlink: "a file is gone",
  chmod: "other attributes",
  rename: "another file behind a name",
  data: "other data",
} satisfies Record<ChangeKind, string>;
const COUNT = { full: 500, quick: 100 };

async function measure({ quick, env, signal }: ExtraOptions): Promise<ExtraResult> {
  await using pool = new LoadPool();
  await using volume = await formatTestVolume();
  await using here = await mountVolume(volume, [], env);
  await using there = await mountVolume(volume, [], env);
  const rows: string[][] = [];
  const data: { change: string; ms: readonly number[] }[] = [];
  for (const [change, title] of Object.entries(CHANGES) as [ChangeKind, string][]) {
    signal.throwIfAborted();
    await mkdir(join(here.path, change));
    const { samples } = await pool.run([
      {
        ...{ kind: "seeChange", folder: join(here.path, change), prefix: "file" },
        ...{ count: quick ? COUNT.quick : COUNT.full },
        ...{ change, otherFolder: join(there.path, change) },
      },
    ]);
    const sorted = samples.toSorted((a, b) => a - b);
    const at = (part: number): string =>
      short(sorted[Math.floor((sorted.length - 1) * part)] ?? NaN);
    rows.push([title, at(0.5), at(0.99), at(1)]);
    data.push({ change, ms: sorted });
  }
  return {
    rows: [["ms", "median", "99 of 100", "longest"], ...rows],
    note: "Both mounts, Redis and what looks share this machine; it looks every 0.1 ms, and had looked just before the change.",
    data,
  };
}
