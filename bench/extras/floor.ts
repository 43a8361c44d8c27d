import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { makeFolder } from "../../test/support/folder.ts";
import { formatTestVolume, mountOfficial, mountVolume } from "../../test/support/mount.ts";
import { startRedis } from "../../test/support/redis.ts";
import { LoadPool } from "../load/pool.ts";
import { median } from "../measurement.ts";
import { short } from "../report/table.ts";
import { mountBare } from "./bare-mount.ts";
import type { Extra, ExtraOptions, ExtraResult } from "./extra.ts";

/**
 * What a change can hardly cost less than on this machine: what the kernel and a server that does nothing need for create and
 * close, and one round trip to a Redis that does nothing, by turns with both whole clients.
 */
export const floor: Extra = {
  name: "floor",
  title: "create and close, beside what can hardly be spared",
  measure,
};

const COUNT = { full: 10_000, quick: 2000 };
const FEWEST_ROUNDS = 5;
const run = promisify(execFile);

type Part = "bare" | "trip" | "ours" | "official";

async function measure({ rounds, quick, env, signal }: ExtraOptions): Promise<ExtraResult> {
  await using pool = new LoadPool();
  await using server = await startRedis();
  await using folder = await makeFolder();
  await using going = new AsyncDisposableStack();
  going.use(await mountBare(folder.path));
  await using volume = await formatTestVolume({ server, database: 1 });
  await using ours = await mountVolume(volume, [], env);
  await using theirs = await formatTestVolume({ server, database: 2, official: true });
  await using official = await mountOfficial(theirs);
  signal.throwIfAborted();
  const count = quick ? COUNT.quick : COUNT.full;
  const create = async (root: string, round: number): Promise<number> => {
    const made = join(root, `round${round}`);
    if (root !== folder.path) await mkdir(made);
    const task = { kind: "create" as const, folder: root === folder.path ? root : made };
    const { seconds } = await pool.run([{ ...task, prefix: `file${round}-`, count }]);
    return (seconds * 1e6) / count;
  };
  const parts: Record<Part, (round: number) => Promise<number>> = {
    bare: (round) => create(folder.path, round),
    trip: () => roundTripUs(server.port, count),
    ours: (round) => create(ours.path, round),
    official: (round) => create(official.path, round),
  };
  const costs: { part: Part; round: number; us: number }[] = [];
  // The round 0 is to warm up.
  for (let round = 0; round <= Math.max(rounds, FEWEST_ROUNDS); round++) {
    for (const [part, measurePart] of Object.entries(parts) as [Part, typeof parts.bare][]) {
      signal.throwIfAborted();
      const us = await measurePart(round);
      if (round > 0) costs.push({ part, round, us });
    }
  }
  const of = (part: Part): number => {
    return median(costs.filter((cost) => cost.part === part).map(({ us }) => us));
  };
  const least = of("bare") + of("trip");
  return {
    rows: [
      ["", "us"],
      ["create and close, a server that does nothing", short(of("bare"))],
      ["one round trip to a Redis that does nothing", short(of("trip"))],
      ["both together", short(least)],
      ["our client", short(of("ours"))],
      ["the official client", short(of("official"))],
      ["times the official client's rate: ours", short(of("official") / of("ours"))],
      ["times the official client's rate: at most", short(of("official") / least)],
    ],
    note: "One process; the server that does nothing reads and answers as our client does, the round trip is `redis-benchmark`'s.",
    data: costs,
  };
}

/** Of one connection, by a program that does nothing else. */
async function roundTripUs(port: number, count: number): Promise<number> {
  const args = ["-p", String(port), "-c", "1", "-n", String(count), "-t", "ping_mbulk", "--csv"];
  const { stdout } = await run("redis-benchmark", args);
  const rate = Number(/^"PING_MBULK","([\d.]+)"/m.exec(stdout)?.[1]);
  if (Number.isNaN(rate)) throw new Error(`redis-benchmark told no rate: ${stdout}`);
  return 1e6 / rate;
}
