import { Command } from "commander";
import { configTable } from "../../options/config.ts";
import { printJson } from "../job.ts";
import { addOptions, givenOf } from "../options.ts";

export function configCommand(): Command {
  const command = new Command("config")
    .summary("show the settings of a volume, or change them")
    .argument("<META-URL>", "such as redis://localhost/1")
    .option("-y, --yes", "accepted; nothing is asked")
    .option("--force", "without trying the storage, and whoever is mounted")
    .option("--encrypt-secret", "accepted; secrets are always stored encrypted");
  return addOptions(command, configTable).action(async (metaUrl: string) => {
    const { changeConfig, showConfig } = await import("../../volume/config.ts");
    const { force }: { force?: true } = command.opts();
    const values = givenOf(command, configTable);
    if (Object.keys(values).length === 0) {
      printJson(await showConfig(metaUrl));
      return;
    }
    for (const { name, from, to } of await changeConfig({ metaUrl, values, force })) {
      process.stdout.write(`${name}: ${from} -> ${to}\n`);
    }
  });
}
