import { Command } from "commander";

export function statusCommand(): Command {
  const command = new Command("status")
    .summary("show the settings and sessions of a volume")
    .argument("<META-URL>", "such as redis://localhost/1")
    .option("-s, --session <sid>", "this session only, with its locks and sustained inodes");
  return command.action(async (metaUrl: string) => {
    const { volumeStatus } = await import("../../volume/status.ts");
    const { session }: { session?: string } = command.opts();
    const sid = session === undefined ? undefined : sessionNumber(session);
    const status = await volumeStatus(metaUrl, sid);
    process.stdout.write(`${JSON.stringify(status, undefined, 2)}\n`);
  });
}

function sessionNumber(text: string): bigint {
  if (!/^\d+$/.test(text)) throw new Error(`Cannot use --session "${text}": expected a number`);
  return BigInt(text);
}
