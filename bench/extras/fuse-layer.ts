import { join } from "node:path";
import { writeFile } from "node:fs/promises";
import { makeFolder } from "../../test/support/folder.ts";
import { formatTestVolume, mountVolume } from "../../test/support/mount.ts";
import { cpuSeconds, familyOf } from "../counters/processes.ts";
import { LoadPool } from "../load/pool.ts";
import { median } from "../measurement.ts";
import { short } from "../report/table.ts";
import { mountBare } from "./bare-mount.ts";
import type { Extra, ExtraOptions, ExtraResult } from "./extra.ts";

/**
 * What everything above the read loop costs: a GETATTR answered from memory by the whole client, and by a loop that knows one
 * answer only, by turns. The kernel is told to ask each time.
 */
export const fuseLayer: Extra = {
  name: "fuse-layer",
  title: "getattr from memory, beside a bare read loop",
  measure,
};

const COUNT = { full: 40_000, quick: 10_000 };
const FEWEST_ROUNDS = 5;

interface Cost {
  readonly server: "whole" | "bare";
  readonly round: number;
  /** Microseconds of a request: until the caller has its answer, and of the server's CPU. */
  readonly wallUs: number;
  readonly cpuUs: number;
}

async function measure({ rounds, quick, env, signal }: ExtraOptions): Promise<ExtraResult> {
  await using pool = new LoadPool();
  await using volume = await formatTestVolume();
  await using whole = await mountVolume(volume, [], env);
  await using folder = await makeFolder();
  await using bare = await mountBare(folder.path);
  await writeFile(join(whole.path, "file"), "");
  const count = quick ? COUNT.quick : COUNT.full;
  const servers = [
    { server: "bare", root: folder.path, pids: [bare.pid] },
    { server: "whole", root: whole.path, pids: familyOf(whole.supervisor.child.pid ?? 0) },
  ] as const;
  const costs: Cost[] = [];
  // The round 0 is to warm up.
  for (let round = 0; round <= Math.max(rounds, FEWEST_ROUNDS); round++) {
    for (const { server, root, pids } of servers) {
      signal.throwIfAborted();
      const before = cpuSeconds(pids);
      const task = { kind: "askAttributes" as const, folder: root, prefix: "file", count };
      const { seconds } = await pool.run([task]);
      const cpuUs = ((cpuSeconds(pids) - before) * 1e6) / count;
      if (round > 0) costs.push({ server, round, wallUs: (seconds * 1e6) / count, cpuUs });
    }
  }
  return resultOf(costs);
}

function resultOf(costs: readonly Cost[]): ExtraResult {
  const row = (title: string, of: (cost: Cost) => number): string[] => {
    const all = (server: Cost["server"]): number[] =>
      costs.filter((cost) => cost.server === server).map(of);
    const bare = all("bare");
    const ratios = all("whole").map((value, at) => value / (bare[at] ?? NaN));
    const [whole, alone] = [median(all("whole")), median(bare)];
    const spread = `${short(Math.min(...ratios))}..${short(Math.max(...ratios))}`;
    return [title, short(whole), short(alone), `${short(median(ratios))} (${spread})`];
  };
  return {
    rows: [
      ["", "whole client", "bare loop", "ratio"],
      row("us a request, for the caller", ({ wallUs }) => wallUs),
      row("us a request, the server's CPU", ({ cpuUs }) => cpuUs),
    ],
    note: "statx(2) that is told not to believe the kernel, of one file, again and again.",
    data: costs,
  };
}
