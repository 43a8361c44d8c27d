import { Command } from "commander";
import { locate } from "../../mount/locate.ts";
import { onOff } from "../../options/specs.ts";
import { withDefaults } from "../../options/table.ts";
import { printJson, runJob } from "../job.ts";
import { addOptions, givenOf } from "../options.ts";

const table = {
  inode: onOff({ short: "i", help: "the arguments are inode numbers of the volume mounted here" }),
  recursive: onOff({ short: "r", help: "count everything below a folder" }),
  raw: onOff({ help: "accepted; what is shown is what the records say" }),
  strict: onOff({ help: "accepted; everything is counted in any case" }),
};

export function infoCommand(): Command {
  const command = new Command("info")
    .summary("show what an inode holds, and in which objects a file's bytes lie")
    .argument("<PATH...>", "files or folders of a mounted volume, or inodes");
  return addOptions(command, table).action(async (paths: string[]) => {
    const { runOnMount } = await import("../../mount/jobs.ts");
    const { inode, recursive } = withDefaults(table, givenOf(command, table));
    for (const path of paths) {
      if (inode && !/^\d+$/.test(path)) {
        throw new Error(`Cannot show inode "${path}": expected a number`);
      }
      const { mountpoint, ino } = locate(inode ? "." : path);
      const job = { job: "info", ino: inode ? path : ino, recursive } as const;
      printJson(await runJob((followed) => runOnMount(mountpoint, job, followed)));
    }
  });
}
