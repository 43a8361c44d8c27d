import { Command } from "commander";
import { VERSION } from "../../base/version.ts";

export function versionCommand(): Command {
  return new Command("version").summary("show the version").action(() => {
    process.stdout.write(`juicefs version ${VERSION}\n`);
  });
}
