import { Command } from "commander";
import { log } from "../../base/log.ts";
import { requireMounting, resolveMountpoint } from "../../mount/mountpoint.ts";
import { startMount } from "../../mount/start.ts";
import { Supervisor } from "../../mount/supervisor.ts";
import { unmountVolume } from "../../mount/unmount.ts";
import { takeMountOver, untilUnmounted } from "../../mount/upgrade.ts";
import { mountTable } from "../../options/mount.ts";
import { withDefaults } from "../../options/table.ts";
import { addOptions, givenOf } from "../options.ts";

const LOG_FILE = "/var/log/juicefs.log";

interface MountFlags {
  readonly background?: true;
  readonly log: string;
}

export function mountCommand(): Command {
  const command = new Command("mount")
    .summary("show a volume as a file system")
    .argument("<META-URL>", "such as redis://localhost/1")
    .argument("<MOUNTPOINT>", "a folder; made when it is missing")
    .option("-d, --background", "return when it is mounted")
    .option("-f, --foreground", "stay until it is unmounted (the default)")
    .option("--log <file>", "where a mount in the background logs to", LOG_FILE)
    .option("--force", "accepted; it means nothing here")
    .option("--no-syslog", "accepted; nothing is sent to syslog")
    .option("--no-usage-report", "accepted; nothing is reported to anybody");
  return addOptions(command, mountTable).action(async (metaUrl: string, mountpoint: string) => {
    hideArguments();
    requireMounting();
    const flags: MountFlags = command.opts();
    const values = withDefaults(mountTable, givenOf(command, mountTable));
    const config = { metaUrl, mountpoint: resolveMountpoint(mountpoint), values };
    const taken = await takeMountOver(config);
    if (taken !== undefined) {
      log.info(
        { volume: taken.volume, mountpoint: config.mountpoint },
        "served by this version from now on, with the options it was mounted with",
      );
      if (flags.background !== true) await stay(config.mountpoint);
      return;
    }
    if (flags.background === true) {
      const { name } = await startMount(config, { logFile: flags.log });
      log.info({ volume: name, mountpoint: config.mountpoint }, "mounted");
      return;
    }
    const supervisor = new Supervisor(config);
    const { name } = await supervisor.start();
    log.info({ volume: name, mountpoint: config.mountpoint }, "mounted, Ctrl-C unmounts");
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.once(signal, () => void supervisor.stop().then(() => process.exit()));
    }
    await supervisor.ended();
  });
}

/** As long as a mount of other processes is there; a signal unmounts it. */
async function stay(mountpoint: string): Promise<void> {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      unmountVolume(mountpoint, { lazy: true, wait: true }).catch((error: unknown) => {
        log.error({ error }, "cannot unmount");
      });
    });
  }
  await untilUnmounted(mountpoint);
}

/** The meta URL may hold a password, and this process stays where `ps` shows its arguments. */
function hideArguments(): void {
  process.title = "juicefs mount";
}
