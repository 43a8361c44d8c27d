import { parseArgs } from "node:util";
import type { Extra } from "./extras/extra.ts";
import type { StorageKind } from "./scene.ts";
import type { Scale, Work } from "./works/work.ts";

export interface BenchOptions {
  readonly storages: readonly StorageKind[];
  readonly works: readonly Work[];
  readonly extras: readonly Extra[];
  readonly rounds: number;
  readonly quick: boolean;
  readonly scale: Scale;
  /** How many worker threads our client is to have, where that is varied. */
  readonly threads: readonly number[];
  readonly mountpoint?: string | undefined;
  /** Where JSON goes. */
  readonly json?: string | undefined;
  /** Folder for CPU profiles of our client's processes. */
  readonly profile?: string | undefined;
  /** Keep the results in docs/. */
  readonly document: boolean;
}

const GIB = 2 ** 30;

const FULL = {
  rounds: 5,
  storages: ["minio", "file"],
  scale: {
    ...{ names: 2000, listed: 10_000, files: 300, largeBytes: GIB, writes: 2000, seconds: 3 },
  },
} as const;
const QUICK = {
  rounds: 2,
  storages: ["minio"],
  scale: {
    ...{ names: 1000, listed: 2000, files: 150, largeBytes: GIB / 4, writes: 400, seconds: 1 },
  },
} as const;

export const HELP = `Compares our client with the official one, on the same servers, turn by turn.
  --quick               a few minutes: fewer rounds, less of each work, on MinIO only unless it is kept
  --only NAMES          only these works, comma-separated; a name's beginning is enough
  --storage KIND        minio or file; both when absent
  --rounds N            how often each work is done
  --threads NUMBERS     worker threads of our client, where that is varied (0,1,2,4)
  --mountpoint FOLDER   measures this file system instead, beside a plain folder
  --json FILE           all measurements as JSON
  --profile FOLDER      CPU profiles of our client's processes
  --document            keeps the results in docs/benchmarks.md and docs/benchmarks.json`;

/** @throws Error in one sentence when an option is wrong; undefined: help was asked for */
export function parseOptions(
  args: string[],
  all: { works: readonly Work[]; extras: readonly Extra[] },
): BenchOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      ...{ help: { type: "boolean" }, quick: { type: "boolean" }, only: { type: "string" } },
      ...{ storage: { type: "string" }, rounds: { type: "string" }, json: { type: "string" } },
      ...{ mountpoint: { type: "string" }, profile: { type: "string" } },
      ...{ threads: { type: "string" }, document: { type: "boolean" } },
    },
  });
  if (values.help === true) return undefined;
  const { quick = false, document = false, only, mountpoint, json, profile } = values;
  if (document) requireEverything(values);
  const size = quick ? QUICK : FULL;
  const storages = document ? FULL.storages : size.storages;
  const chosen = only === undefined ? all : choose(only, all);
  return {
    storages: values.storage === undefined ? storages : [storageOf(values.storage)],
    works: chosen.works,
    // They are about our client.
    extras: mountpoint === undefined ? chosen.extras : [],
    rounds: values.rounds === undefined ? size.rounds : count("rounds", values.rounds),
    threads: (values.threads ?? "0,1,2,4").split(",").map((text) => count("threads", text, 0)),
    ...{ quick, document, mountpoint, json, profile, scale: size.scale },
  };
}

/** @throws Error naming the option that leaves something out */
function requireEverything(values: { only?: string; storage?: string; mountpoint?: string }): void {
  const partial = (["only", "storage", "mountpoint"] as const).find(
    (name) => values[name] !== undefined,
  );
  if (partial === undefined) return;
  throw new Error(`Cannot use --document with --${partial}: what is kept is a run of everything`);
}

function storageOf(text: string): StorageKind {
  if (text === "minio" || text === "file") return text;
  throw new Error(`Cannot use --storage "${text}": expected minio or file`);
}

function count(option: string, text: string, least = 1): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= least) return number;
  throw new Error(`Cannot use --${option} "${text}": expected a whole number from ${least} on`);
}

function choose(
  text: string,
  { works, extras }: { works: readonly Work[]; extras: readonly Extra[] },
): { works: Work[]; extras: Extra[] } {
  const all = [...works, ...extras].map(({ name }) => name);
  const names = new Set(
    text.split(",").flatMap((wanted) => {
      const found = all.includes(wanted) ? [wanted] : all.filter((name) => name.startsWith(wanted));
      if (found.length > 0) return found;
      throw new Error(`Cannot use --only "${wanted}": there is ${all.join(", ")}`);
    }),
  );
  return {
    works: works.filter(({ name }) => names.has(name)),
    extras: extras.filter(({ name }) => names.has(name)),
  };
}
