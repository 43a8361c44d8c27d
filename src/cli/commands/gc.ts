import { Command } from "commander";
import { count, onOff } from "../../options/specs.ts";
import { withDefaults } from "../../options/table.ts";
import { printJson, runJob } from "../job.ts";
import { addOptions, givenOf } from "../options.ts";

const table = {
  delete: onOff({ help: "delete what is found, and what was kept long enough" }),
  compact: onOff({ help: "compact all files first" }),
  threads: count({ short: "p", initial: 10, least: 1, help: "deletions, or compactions, at once" }),
};

export function gcCommand(): Command {
  const command = new Command("gc")
    .summary("find objects that nothing refers to; delete them, compact files")
    .argument("<META-URL>", "such as redis://localhost/1");
  return addOptions(command, table).action(async (metaUrl: string) => {
    const { collectGarbage } = await import("../../volume/gc.ts");
    const values = withDefaults(table, givenOf(command, table));
    printJson(await runJob((options) => collectGarbage({ metaUrl, ...values }, options)));
  });
}
