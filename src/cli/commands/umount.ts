import { resolve } from "node:path";
import { Command } from "commander";
import { unmountVolume } from "../../mount/unmount.ts";

export function umountCommand(): Command {
  const command = new Command("umount")
    .summary("end a mount; returns when everything is stored")
    .argument("<MOUNTPOINT>")
    .option("-f, --force", "also while somebody uses it: it goes when they do")
    .option("--flush", "accepted; what is written is always stored first");
  return command.action(async (mountpoint: string) => {
    const { force }: { force?: true } = command.opts();
    await unmountVolume(resolve(mountpoint), { lazy: force === true, wait: force !== true });
  });
}
