import { execFileSync } from "node:child_process";
import { cpus, loadavg, release, totalmem } from "node:os";
import { VERSION } from "../src/base/version.ts";
import { minioBinary, officialBinary } from "../test/support/binaries.ts";

/** What the results depend on: a name and what it was. */
export type MachineFacts = Readonly<Record<string, string>>;

const GIB = 2 ** 30;

export function machineFacts(): MachineFacts {
  const [cpu] = cpus();
  return {
    machine: `${cpus().length} x ${cpu?.model ?? "?"}, ${Math.round(totalmem() / GIB)} GiB`,
    "load before": loadavg()
      .map((load) => load.toFixed(1))
      .join(" "),
    Linux: release(),
    ours: [VERSION, said("git", ["rev-parse", "--short", "HEAD"])].join(", "),
    Node: process.version,
    official: said(officialBinary(), ["version"]),
    Redis: said("redis-server", ["--version"]),
    MinIO: said(minioBinary(), ["--version"]),
  };
}

/** The first line of what a program says. */
function said(program: string, args: string[]): string {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
      .split("\n", 1)
      .join("");
  } catch {
    return "?";
  }
}
