import { createInterface } from "node:readline/promises";
import { Command } from "commander";
import { log } from "../../base/log.ts";
import { runJob } from "../job.ts";

export function destroyCommand(): Command {
  const command = new Command("destroy")
    .summary("delete a volume for good: objects and metadata")
    .argument("<META-URL>", "such as redis://localhost/1")
    .argument("<UUID>", "of the volume, as juicefs status shows it")
    .option("-y, --yes", "without asking")
    .option("--force", "also while somebody has it mounted");
  return command.action(async (metaUrl: string, uuid: string) => {
    const { yes, force }: { yes?: true; force?: true } = command.opts();
    const { destroyVolume } = await import("../../volume/destroy.ts");
    if (yes !== true) await requireYes(uuid);
    const gone = await runJob((options) => destroyVolume({ metaUrl, uuid, force }, options));
    log.info(gone, "volume is destroyed");
  });
}

async function requireYes(uuid: string): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new Error(`Cannot destroy volume ${uuid}: nobody can be asked here; use --yes`);
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(
    `Delete volume ${uuid} with all its files for good? Type yes: `,
  );
  terminal.close();
  if (answer.trim() !== "yes") throw new Error(`Volume ${uuid} stays as it is`);
}
