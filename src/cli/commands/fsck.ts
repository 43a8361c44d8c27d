import { Command } from "commander";
import { printJson, runJob } from "../job.ts";

export function fsckCommand(): Command {
  const command = new Command("fsck")
    .summary("look for files whose objects are missing; exit status 1 where there are some")
    .argument("<META-URL>", "such as redis://localhost/1");
  return command.action(async (metaUrl: string) => {
    const { checkObjects } = await import("../../volume/fsck.ts");
    const found = await runJob((options) => checkObjects(metaUrl, options));
    printJson(found);
    if (found.missingCount > 0) {
      throw new Error(
        `${found.missingCount} objects are missing, ${found.broken.length} files are broken`,
      );
    }
  });
}
