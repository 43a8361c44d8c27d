import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { rate, type Measurement } from "./measurement.ts";
import { HELP, parseOptions, type BenchOptions } from "./options.ts";
import { columnsFor, short, Summary, textTable } from "./report/table.ts";
import { runWorks } from "./run.ts";
import { openClients, openMountpoint, type Scene } from "./scene.ts";
import { dataWorks } from "./works/data.ts";
import { namesWorks } from "./works/names.ts";

const works = [...namesWorks, ...dataWorks];

interface SceneResult {
  readonly title: string;
  readonly measurements: readonly Measurement[];
}

async function measure(
  title: string,
  open: () => Promise<Scene>,
  options: BenchOptions,
  signal: AbortSignal,
): Promise<SceneResult> {
  await using scene = await open();
  const measurements: Measurement[] = [];
  const targets = scene.targets.map((target) => target.name);
  await runWorks(scene, {
    ...{ works: options.works, rounds: options.rounds, scale: options.scale, signal },
    measured: (measurement) => {
      measurements.push(measurement);
      const { work, target, round } = measurement;
      process.stderr.write(`${title}: ${work} ${round} ${target} ${short(rate(measurement))}/s\n`);
    },
  });
  const summaries = options.works.map((work) => new Summary(work, measurements));
  process.stdout.write(`\n${title}\n${textTable(columnsFor(targets), summaries)}\n`);
  return { title, measurements };
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2), works);
  if (options === undefined) {
    process.stdout.write(`${HELP}\n`);
    return;
  }
  const abort = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      abort.abort(new Error("Interrupted"));
    });
  }
  const { mountpoint, storages } = options;
  const results: SceneResult[] = [];
  if (mountpoint === undefined) {
    for (const storage of storages) {
      const open = (): Promise<Scene> => openClients(storage, profiling(options));
      results.push(await measure(storage, open, options, abort.signal));
    }
  } else {
    const open = (): Promise<Scene> => openMountpoint(mountpoint);
    results.push(await measure(mountpoint, open, options, abort.signal));
  }
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results)}\n`);
}

/** Environment of our client's processes. */
function profiling({ profile }: BenchOptions): NodeJS.ProcessEnv {
  if (profile === undefined) return {};
  return { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${resolve(profile)}` };
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
