import { basename, dirname } from "node:path";
import { Command } from "commander";
import { log } from "../../base/log.ts";
import { locate } from "../../mount/locate.ts";
import { count, onOff } from "../../options/specs.ts";
import { withDefaults } from "../../options/table.ts";
import { runJob } from "../job.ts";
import { addOptions, givenOf } from "../options.ts";

const table = {
  "skip-trash": onOff({ help: "remove for good" }),
  threads: count({ short: "p", initial: 50, least: 1, help: "removals at once" }),
};

export function rmrCommand(): Command {
  const command = new Command("rmr")
    .summary("remove folders with everything in them, quicker than rm -r")
    .argument("<PATH...>", "of a mounted volume");
  return addOptions(command, table).action(async (paths: string[]) => {
    const { runOnMount } = await import("../../mount/jobs.ts");
    const values = withDefaults(table, givenOf(command, table));
    for (const given of paths) {
      const { mountpoint, path } = locate(given);
      if (path === mountpoint) throw new Error(`Cannot remove "${given}": it is the mountpoint`);
      const { ino: parent } = locate(dirname(path));
      const name = Buffer.from(basename(path)).toString("base64");
      const how = { skipTrash: values["skip-trash"], threads: values.threads };
      const job = { job: "remove", parent, name, ...how } as const;
      const { removed } = await runJob((followed) => runOnMount(mountpoint, job, followed));
      log.info({ path: given, removed }, "removed");
    }
  });
}
