import { Command } from "commander";
import { onOff, text } from "../../options/specs.ts";
import { withDefaults, type OptionSpec, type OptionValues } from "../../options/table.ts";
import { parseMode } from "../../options/values.ts";
import { printJson, runJob } from "../job.ts";
import { addOptions, givenOf } from "../options.ts";

const repairMode: OptionSpec<number> = {
  ...{ value: "bits", initial: 0o755, shown: "0755", parse: parseMode },
  help: "permission bits of a folder that has lost its attributes",
};

const table = {
  path: text({ value: "path", help: "look at the records of this folder instead of objects" }),
  repair: onOff({ help: "set right what is wrong with folders" }),
  recursive: onOff({ short: "r", help: "all folders below it too" }),
  "sync-dir-stat": onOff({ help: "the sums of folders too, with / the volume's counters" }),
  "repair-dir-mode": repairMode,
};

export function fsckCommand(): Command {
  const command = new Command("fsck")
    .summary("look for files whose objects are missing, or for folders with wrong records")
    .argument("<META-URL>", "such as redis://localhost/1");
  return addOptions(command, table).action(async (metaUrl: string) => {
    const values = withDefaults(table, givenOf(command, table));
    if (values.path === undefined) await objects(metaUrl, values);
    else await folders(metaUrl, values.path, values);
  });
}

async function objects(metaUrl: string, { repair }: OptionValues<typeof table>): Promise<void> {
  if (repair) throw new Error("Cannot repair objects: with --path folders can be repaired");
  const { checkObjects } = await import("../../volume/fsck.ts");
  const found = await runJob((options) => checkObjects(metaUrl, options));
  printJson(found);
  if (found.missingCount === 0) return;
  throw new Error(
    `${found.missingCount} objects are missing, ${found.broken.length} files are broken`,
  );
}

async function folders(
  metaUrl: string,
  path: string,
  values: OptionValues<typeof table>,
): Promise<void> {
  const { checkTree } = await import("../../volume/fsck-tree.ts");
  const request = {
    ...{ metaUrl, path, recursive: values.recursive, repair: values.repair },
    ...{ syncSums: values["sync-dir-stat"], repairMode: values["repair-dir-mode"] },
  };
  const found = await runJob((options) => checkTree(request, options));
  printJson(found);
  const left = found.problems.filter(({ repaired }) => !repaired).length;
  if (left > 0) throw new Error(`${left} problems are left; --repair sets right what it can`);
}
