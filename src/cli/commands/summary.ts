import { Command } from "commander";
import { locate } from "../../mount/locate.ts";
import { count, onOff } from "../../options/specs.ts";
import { withDefaults } from "../../options/table.ts";
import type { TreeSummary } from "../../volume/summary.ts";
import { printJson, runJob } from "../job.ts";
import { addOptions, givenOf } from "../options.ts";

const table = {
  depth: count({ short: "d", initial: 2, help: "how deep folders are told one by one" }),
  entries: count({ short: "e", initial: 10, least: 1, help: "the largest so many of a folder" }),
  strict: onOff({ help: "accepted; everything is counted in any case" }),
  csv: onOff({ help: "as a table instead of JSON" }),
};

export function summaryCommand(): Command {
  const command = new Command("summary")
    .summary("show how much lies in the folders of a tree")
    .argument("<PATH>", "a folder of a mounted volume");
  return addOptions(command, table).action(async (given: string) => {
    const { runOnMount } = await import("../../mount/jobs.ts");
    const { depth, entries, csv } = withDefaults(table, givenOf(command, table));
    const { mountpoint, ino } = locate(given);
    const job = { job: "summary", ino, path: given, depth, entries } as const;
    const summary = await runJob((followed) => runOnMount(mountpoint, job, followed));
    if (!csv) {
      printJson(summary);
      return;
    }
    process.stdout.write("PATH,SIZE,DIRS,FILES\n");
    for (const line of linesOf(summary, "")) process.stdout.write(`${line}\n`);
  });
}

function* linesOf(tree: TreeSummary, above: string): Generator<string> {
  const path = `${above}${tree.path}${tree.type === "dir" ? "/" : ""}`;
  const quoted = /[",\n]/.test(path) ? `"${path.replaceAll('"', '""')}"` : path;
  yield [quoted, tree.size, tree.dirs, tree.files].join(",");
  for (const child of tree.children ?? []) yield* linesOf(child, path);
}
