import { setTimeout as sleep } from "node:timers/promises";
import { keepCompiled, useCompileCache } from "../base/compile-cache.ts";
import { log } from "../base/log.ts";
import { VERSION } from "../base/version.ts";

/**
 * The Docker volume driver. `managed` as the only argument: inside the managed plugin, where its end is the end of all its
 * processes. It listens first, since dockerd gives a plugin 9 s and takes one that does not listen for broken, for ever; what
 * was mounted is restored after that.
 */

/** dockerd kills a plugin after 10 s, and may be gone by then itself: nothing must still unmount when the next one runs. */
const CLOSE_MS = 8500;
/** In the plugin: its end is the plugin's. */
const PID_1 = 1;

useCompileCache();
const { Driver } = await import("./driver.ts");
const { serve } = await import("./server.ts");
const { readSettings } = await import("./settings.ts");

/** An unforeseen error must not end what containers depend on. */
for (const event of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(event, (error: unknown) => {
    log.error({ error }, "an error that nobody expected");
  });
}

async function main(): Promise<void> {
  const managed = process.argv.includes("managed");
  if (managed) {
    // Below what the engine keeps when the container of the plugin dies: what was written and not stored is found again there.
    process.env["JUICEFS_RUN"] ??= "/jfs/run";
    // And over upgrades: blocks are staged in the cache.
    process.env["JUICEFS_CACHE"] ??= "/jfs/cache";
  }
  const settings = readSettings(process.env, { managed });
  // They are for this process, not for its children.
  for (const name of ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"]) delete process.env[name];
  const driver = new Driver(settings, {
    cutOff() {
      log.error(
        "the engine took away the folder of the mounts: ending, so that it starts the plugin again",
      );
      process.kill(PID_1, "SIGTERM");
    },
  });
  const { server, answered } = await serve(driver, {
    socket: settings.socket,
    probed() {
      if (managed) driver.engineChanged();
    },
  });
  log.info({ version: VERSION, socket: settings.socket, state: settings.state }, "listening");
  const end = async (): Promise<void> => {
    server.close();
    if (managed) {
      await Promise.race([driver.close(), sleep(CLOSE_MS)]);
    } else {
      // dockerd repeats what is cut off with an empty body: a container that starts now would not.
      await answered();
      driver.leave();
    }
    process.exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void end());
  await driver.restore();
  keepCompiled();
}

main().catch((error: unknown) => {
  process.stderr.write(
    `juicefs volume driver: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exit(1);
});
