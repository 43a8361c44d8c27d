import { parseArgs } from "node:util";
import type { StorageKind } from "./scene.ts";
import type { Scale, Work } from "./works/work.ts";

export interface BenchOptions {
  readonly storages: readonly StorageKind[];
  readonly works: readonly Work[];
  readonly rounds: number;
  readonly scale: Scale;
  readonly mountpoint?: string | undefined;
  /** Where JSON goes. */
  readonly json?: string | undefined;
  /** Folder for CPU profiles of our client's processes. */
  readonly profile?: string | undefined;
}

const GIB = 2 ** 30;

const FULL = {
  rounds: 5,
  storages: ["minio", "file"],
  scale: {
    ...{ names: 2000, listed: 10_000, files: 150, largeBytes: GIB, writes: 2000, seconds: 3 },
  },
} as const;
const QUICK = {
  rounds: 2,
  storages: ["minio"],
  scale: {
    ...{ names: 400, listed: 2000, files: 40, largeBytes: GIB / 4, writes: 400, seconds: 1 },
  },
} as const;

export const HELP = `Compares our client with the official one, on the same servers, turn by turn.
  --quick               about two minutes: fewer rounds, less of each work
  --only NAMES          only these works, comma-separated; a name's beginning is enough
  --storage KIND        minio or file; both when absent, with --quick minio
  --rounds N            how often each work is done
  --mountpoint FOLDER   measures this file system instead, beside a plain folder
  --json FILE           all measurements as JSON
  --profile FOLDER      CPU profiles of our client's processes`;

/** @throws Error in one sentence when an option is wrong; undefined: help was asked for */
export function parseOptions(args: string[], works: readonly Work[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      ...{ help: { type: "boolean" }, quick: { type: "boolean" }, only: { type: "string" } },
      ...{ storage: { type: "string" }, rounds: { type: "string" }, json: { type: "string" } },
      ...{ mountpoint: { type: "string" }, profile: { type: "string" } },
    },
  });
  if (values.help === true) return undefined;
  const size = values.quick === true ? QUICK : FULL;
  return {
    storages: values.storage === undefined ? size.storages : [storage(values.storage)],
    works: values.only === undefined ? works : chosen(values.only, works),
    rounds: values.rounds === undefined ? size.rounds : rounds(values.rounds),
    scale: size.scale,
    ...{ mountpoint: values.mountpoint, json: values.json, profile: values.profile },
  };
}

function storage(text: string): StorageKind {
  if (text === "minio" || text === "file") return text;
  throw new Error(`Cannot use --storage "${text}": expected minio or file`);
}

function rounds(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return count;
  throw new Error(`Cannot use --rounds "${text}": expected a whole number from 1 on`);
}

function chosen(text: string, works: readonly Work[]): Work[] {
  return text.split(",").flatMap((name) => {
    const exact = works.filter((work) => work.name === name);
    const found = exact.length > 0 ? exact : works.filter((work) => work.name.startsWith(name));
    if (found.length > 0) return found;
    const known = works.map((work) => work.name).join(", ");
    throw new Error(`Cannot use --only "${name}": there is ${known}`);
  });
}
