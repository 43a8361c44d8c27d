import { Command } from "commander";
import { log } from "../../base/log.ts";
import { formatTable } from "../../options/format.ts";
import { addOptions, givenOf } from "../options.ts";

export function formatCommand(): Command {
  const command = new Command("format")
    .summary("make a volume, or change the settings of one")
    .argument("<META-URL>", "such as redis://localhost/1")
    .argument("<NAME>", "of the volume; its objects lie below this name")
    .option("--force", "change also what is fixed when the volume is made")
    .option("--no-update", "leave a volume that is there as it is");
  return addOptions(command, formatTable).action(async (metaUrl: string, name: string) => {
    const { formatVolume } = await import("../../volume/format.ts");
    const { force, update }: { force?: true; update?: boolean } = command.opts();
    const values = givenOf(command, formatTable);
    const request = { metaUrl, name, values, force, noUpdate: update === false };
    const { format, made } = await formatVolume(request);
    const action = made ? "volume is made" : "volume is there";
    log.info({ name: format.Name, uuid: format.UUID, storage: format.Storage }, action);
  });
}
