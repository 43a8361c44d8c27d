import { Command } from "commander";
import { locate } from "../../mount/locate.ts";
import { count } from "../../options/specs.ts";
import { withDefaults } from "../../options/table.ts";
import { printJson, runJob } from "../job.ts";
import { addOptions, givenOf } from "../options.ts";

const table = { threads: count({ short: "p", initial: 10, least: 1, help: "chunks at once" }) };

export function compactCommand(): Command {
  const command = new Command("compact")
    .summary("make files out of few slices that were written piece by piece")
    .argument("<PATH...>", "files or folders of a mounted volume");
  return addOptions(command, table).action(async (paths: string[]) => {
    const { runOnMount } = await import("../../mount/jobs.ts");
    const { threads } = withDefaults(table, givenOf(command, table));
    for (const path of paths) {
      const { mountpoint, ino } = locate(path);
      const done = await runJob((followed) =>
        runOnMount(mountpoint, { job: "compact", ino, threads }, followed),
      );
      printJson({ path, ...done });
      if (done.failed > 0) throw new Error(`${done.failed} chunks could not be compacted`);
    }
  });
}
