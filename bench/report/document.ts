import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { MachineFacts } from "../machine.ts";
import { markdownTable, type Rows } from "./table.ts";

/** The results as they are kept in docs/: a document made from `document.md`, and every measurement. */

export interface Section {
  readonly title: string;
  readonly note?: string;
  readonly rows: Rows;
}

export interface Results {
  readonly date: string;
  readonly machine: MachineFacts;
  readonly rounds: number;
  /** Little of each work was done. */
  readonly quick: boolean;
  readonly sections: readonly Section[];
  readonly data: unknown;
}

const TEMPLATE = new URL("document.md", import.meta.url);
const KEPT_IN = new URL("../../docs/", import.meta.url);

export function documentOf({ date, machine, rounds, quick, sections }: Results): string {
  const values: Readonly<Record<string, string>> = {
    date: date.slice(0, 10),
    args: quick ? '"--document --quick"' : "--document",
    size: quick ? "less of each than a full run does, in " : "",
    rounds: String(rounds),
    machine: markdownTable([["", "this run"], ...Object.entries(machine)]),
    tables: sections.map(sectionText).join("\n"),
  };
  return readFileSync(TEMPLATE, "utf8").replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`The template asks for "${name}", which is not known`);
    return value;
  });
}

function sectionText({ title, note, rows }: Section): string {
  return `\n## ${title}\n\n${note === undefined ? "" : `${note}\n\n`}${markdownTable(rows)}\n`;
}

/** @returns the paths of what was written */
export function keepResults(results: Results): string[] {
  const files = { "benchmarks.md": documentOf(results), "benchmarks.json": jsonOf(results) };
  mkdirSync(KEPT_IN, { recursive: true });
  return Object.entries(files).map(([name, text]) => {
    const path = fileURLToPath(new URL(name, KEPT_IN));
    writeFileSync(path, text);
    return path;
  });
}

/** Numbers to six digits, a measurement a line. */
export function jsonOf({ date, machine, rounds, quick, data }: Results): string {
  const exact = (_: string, value: unknown): unknown =>
    typeof value === "number" ? Number(value.toPrecision(6)) : value;
  return `${JSON.stringify({ date, machine, rounds, quick, data }, exact).replaceAll("},{", "},\n{")}\n`;
}
