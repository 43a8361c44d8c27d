import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { coherence } from "./extras/coherence.ts";
import { floor } from "./extras/floor.ts";
import { fuseLayer } from "./extras/fuse-layer.ts";
import { sink } from "./extras/sink.ts";
import { machineFacts } from "./machine.ts";
import { rate, type Measurement } from "./measurement.ts";
import { HELP, parseOptions, type BenchOptions } from "./options.ts";
import { columnsFor } from "./report/columns.ts";
import { jsonOf, keepResults, type Section } from "./report/document.ts";
import { plainTable, rowsOf, short } from "./report/table.ts";
import { runWorks } from "./run.ts";
import { openClients, openMountpoint, type Scene } from "./scene.ts";
import { Summary } from "./summary.ts";
import { dataWorks } from "./works/data.ts";
import { namesWorks } from "./works/names.ts";

const all = { works: [...namesWorks, ...dataWorks], extras: [fuseLayer, floor, sink, coherence] };

interface Measured {
  readonly section: Section;
  readonly data: unknown;
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2), all);
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
  const { rounds, quick } = options;
  const about = { date: new Date().toISOString(), machine: machineFacts(), rounds, quick };
  const measured: Measured[] = [];
  for (const measure of measurementsOf(options, abort.signal)) {
    const result = await measure();
    const { title, rows } = result.section;
    process.stdout.write(`\n${title}\n\n${plainTable(rows)}\n`);
    measured.push(result);
  }
  const results = {
    ...{ ...about, sections: measured.map(({ section }) => section) },
    data: Object.fromEntries(measured.map(({ section, data }) => [section.title, data])),
  };
  if (options.json !== undefined) writeFileSync(options.json, jsonOf(results));
  if (options.document) process.stdout.write(`\nkept in ${keepResults(results).join(" and ")}\n`);
}

function* measurementsOf(
  options: BenchOptions,
  signal: AbortSignal,
): Generator<() => Promise<Measured>> {
  const { mountpoint, works, extras } = options;
  const env = profiling(options);
  if (works.length > 0) {
    if (mountpoint !== undefined) {
      yield () => measureWorks(mountpoint, () => openMountpoint(mountpoint), { options, signal });
    } else {
      for (const storage of options.storages) {
        const title = storage === "minio" ? "Blocks in MinIO" : "Blocks in a folder";
        yield () => measureWorks(title, () => openClients(storage, env), { options, signal });
      }
    }
  }
  for (const { title, measure } of extras) {
    yield async () => {
      const { rows, note, data } = await measure({ ...options, env, signal });
      return { section: { title: capital(title), rows, note }, data };
    };
  }
}

async function measureWorks(
  title: string,
  open: () => Promise<Scene>,
  { options, signal }: { options: BenchOptions; signal: AbortSignal },
): Promise<Measured> {
  await using scene = await open();
  const measurements: Measurement[] = [];
  await runWorks(scene, {
    ...{ works: options.works, rounds: options.rounds, scale: options.scale, signal },
    measured: (measurement) => {
      measurements.push(measurement);
      const { work, target, round } = measurement;
      process.stderr.write(
        `${title}: ${work}, ${round}, ${target} ${short(rate(measurement))}/s\n`,
      );
    },
  });
  const summaries = options.works.map((work) => new Summary(work, measurements));
  const columns = columnsFor(scene.targets.map((target) => target.name));
  return { section: { title, rows: rowsOf(columns, summaries) }, data: measurements };
}

/** Environment of our client's processes. */
function profiling({ profile }: BenchOptions): NodeJS.ProcessEnv {
  if (profile === undefined) return {};
  return { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${resolve(profile)}` };
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
