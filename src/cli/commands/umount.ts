import { Command } from "commander";
import { log } from "../../base/log.ts";
import { resolveMountpoint } from "../../mount/mountpoint.ts";
import { unmountVolume } from "../../mount/unmount.ts";

export function umountCommand(): Command {
  const command = new Command("umount")
    .summary("end a mount; returns when everything is stored")
    .argument("<MOUNTPOINT>", "where a volume is mounted")
    .option("-f, --force", "also while somebody uses it: it goes when they do")
    .option("--flush", "upload what is staged first, also outside of --upload-hours");
  return command.action(async (mountpoint: string) => {
    const { force, flush }: { force?: true; flush?: true } = command.opts();
    const how = { lazy: force === true, wait: force !== true, upload: flush === true };
    const staged = await unmountVolume(resolveMountpoint(mountpoint), how);
    if (how.wait && staged !== undefined && staged.blocks > 0) {
      log.warn(
        staged,
        "staged blocks stay on this machine's disk until the volume is mounted again",
      );
    }
  });
}
