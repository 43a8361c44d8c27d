import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cpuSeconds, forgetPeak, peakBytes } from "./counters/processes.ts";
import type { RedisCounts } from "./counters/redis.ts";
import { s3Difference, type S3Counts } from "./counters/s3.ts";
import { LoadPool } from "./load/pool.ts";
import type { Measurement } from "./measurement.ts";
import type { Scene } from "./scene.ts";
import { folderOf, type Target } from "./targets.ts";
import { forgetPages } from "./works/kernel-pages.ts";
import type { Scale, Stage, Work } from "./works/work.ts";

/**
 * Does the works turn by turn: each work on each target, one after the other, round by round, so that what disturbs the machine
 * disturbs all of them. Counters are read when the servers are idle again: what a work leaves to be done later is its own.
 */

export interface RunOptions {
  readonly works: readonly Work[];
  readonly rounds: number;
  readonly scale: Scale;
  readonly signal: AbortSignal;
  readonly measured: (measurement: Measurement) => void;
}

const IDLE_STEP_MS = 100;
/** CPU seconds of a step in which nothing happens, heartbeats aside. */
const IDLE_CPU = 0.02;
const IDLE_WAIT_MS = 15_000;
/** Large ones and small ones, which clients store in different ways. */
const WARM_FILES = [
  { prefix: "large", count: 20, bytes: 1 << 20 },
  { prefix: "small", count: 400, bytes: 128 << 10 },
];
/** The first round of a work, a part of it, does not count. */
const WARM_UP = { round: 0, part: 4 };

export async function runWorks(scene: Scene, options: RunOptions): Promise<void> {
  await using pool = new LoadPool();
  const runner = new Runner(scene, options, pool);
  for (const target of scene.targets) {
    options.signal.throwIfAborted();
    await warmUp(target, pool, options.scale.names);
  }
  for (const work of options.works) {
    for (let round = WARM_UP.round; round <= options.rounds; round++) {
      if (round === WARM_UP.round && work.warmUp === false) continue;
      // Who goes first has an advantage, or not: by turns.
      const order = round % 2 === 0 ? scene.targets : scene.targets.toReversed();
      for (const target of order) {
        options.signal.throwIfAborted();
        const measurement = await runner.run(work, target, round);
        if (round !== WARM_UP.round) options.measured(measurement);
      }
    }
  }
}

/** A client lives for months, so it is not its first seconds that are compared: a good deal of everything comes before. */
async function warmUp(target: Target, pool: LoadPool, count: number): Promise<void> {
  const task = { folder: await folderOf(target, "warm-up"), prefix: "name", count };
  for (const kind of ["mkdir", "stat", "rmdir", "create", "chmod", "stat", "unlink"] as const) {
    await pool.run([{ ...task, kind }]);
  }
  await useFiles("writeFiles", pool, task.folder);
  await useFiles("readFiles", pool, task.folder);
}

async function useFiles(
  kind: "writeFiles" | "readFiles",
  pool: LoadPool,
  folder: string,
): Promise<void> {
  for (const files of WARM_FILES) await pool.run([{ ...files, folder, kind }]);
}

interface Counts {
  readonly cpu: number;
  readonly redis: RedisCounts | undefined;
  readonly s3: S3Counts | undefined;
}

class Runner {
  readonly #scene: Scene;
  readonly #options: RunOptions;
  readonly #pool: LoadPool;
  readonly #filled = new Set<string>();

  constructor(scene: Scene, options: RunOptions, pool: LoadPool) {
    this.#scene = scene;
    this.#options = options;
    this.#pool = pool;
  }

  async run(work: Work, target: Target, round: number): Promise<Measurement> {
    const stage = await this.#stage(work, target, round);
    const tasks = await work.prepare(stage);
    await this.#idle();
    await work.lead?.(stage, tasks);
    forgetPeak(target.pids);
    const before = await this.#counts(target);
    const { operations, seconds } = await this.#pool.run(tasks);
    await this.#idle();
    const after = await this.#counts(target);
    return {
      ...{ work: work.name, target: target.name, round, operations, seconds },
      cpuSeconds: after.cpu - before.cpu,
      peakBytes: peakBytes(target.pids),
      redis: target.pids.length > 0 ? redisDifference(before.redis, after.redis) : undefined,
      s3:
        target.pids.length > 0 && before.s3 !== undefined && after.s3 !== undefined
          ? s3Difference(before.s3, after.s3)
          : undefined,
    };
  }

  async #stage(work: Work, target: Target, round: number): Promise<Stage> {
    const { scale } = this.#options;
    const warming = round === WARM_UP.round;
    const name = `${work.name}-${round}`;
    await folderOf(target, name);
    return {
      ...{ target, pool: this.#pool },
      scale: warming ? scaled(scale, WARM_UP.part) : scale,
      get folder() {
        return join(target.root, name);
      },
      shared: (folder, fill) => this.#shared(target, warming ? `${folder}-warm` : folder, fill),
      forget: (folder) => this.#forget(target, folder),
    };
  }

  async #shared(
    target: Target,
    name: string,
    fill: (folder: string) => Promise<void>,
  ): Promise<string> {
    const folder = await folderOf(target, name);
    const key = `${target.name}/${name}`;
    if (!this.#filled.has(key)) await fill(folder);
    this.#filled.add(key);
    return folder;
  }

  async #forget(target: Target, folder: string): Promise<void> {
    if (target.remount === undefined) {
      await forgetPages(folder);
      return;
    }
    // What runs for the first time in a new process is not what is measured: it has fetched other files before.
    await useFiles("writeFiles", this.#pool, await folderOf(target, "warm"));
    await target.remount();
    await useFiles("readFiles", this.#pool, await folderOf(target, "warm"));
  }

  async #counts(target: Target): Promise<Counts> {
    const { redis, s3 } = this.#scene;
    return { cpu: cpuSeconds(target.pids), redis: await redis?.read(), s3: await s3?.() };
  }

  /** Waits until no client does anything in the background. */
  async #idle(): Promise<void> {
    const pids = this.#scene.targets.flatMap((target) => target.pids);
    if (pids.length === 0) return;
    const end = Date.now() + IDLE_WAIT_MS;
    let before = cpuSeconds(pids);
    for (;;) {
      await sleep(IDLE_STEP_MS);
      const now = cpuSeconds(pids);
      if (now - before <= IDLE_CPU || Date.now() > end) return;
      before = now;
    }
  }
}

function redisDifference(
  before: RedisCounts | undefined,
  after: RedisCounts | undefined,
): RedisCounts | undefined {
  if (before === undefined || after === undefined) return undefined;
  return {
    roundTrips: after.roundTrips - before.roundTrips,
    commands: after.commands - before.commands,
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
  };
}

/** A part of everything but time. */
function scaled(scale: Scale, part: number): Scale {
  const less = Object.entries(scale).map(([name, amount]) => [name, Math.ceil(amount / part)]);
  return { ...(Object.fromEntries(less) as unknown as Scale), seconds: scale.seconds / part };
}
