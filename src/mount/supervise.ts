import { log } from "../base/log.ts";
import { VERSION } from "../base/version.ts";
import type { MountConfig, OpenedMessage } from "./messages.ts";
import { Supervisor } from "./supervisor.ts";

/**
 * The supervisor as a process of its own. Who starts it sends the configuration over the channel that Node makes, and is told
 * whether the volume is mounted; then the channel is closed and the supervisor stays until the volume is unmounted.
 */

export type SuperviseAnswer =
  | { readonly mounted: OpenedMessage; readonly version: string }
  /** One sentence. */
  | { readonly failed: string };

async function supervise(config: MountConfig): Promise<void> {
  const supervisor = new Supervisor(config);
  try {
    const mounted = await supervisor.start();
    answer({ mounted, version: VERSION });
  } catch (error) {
    answer({ failed: error instanceof Error ? error.message : String(error) });
    process.exitCode = 1;
    return;
  }
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => void supervisor.stop().then(() => process.exit()));
  }
  await supervisor.ended();
}

function answer(message: SuperviseAnswer): void {
  if (!process.connected) return;
  process.send?.(message, () => {
    process.disconnect();
  });
}

process.once("message", (config: MountConfig) => {
  supervise(config).catch((error: unknown) => {
    log.fatal({ error }, "the supervisor cannot go on");
    process.exitCode = 1;
  });
});
// A terminal that is closed takes nothing along.
process.on("SIGHUP", () => undefined);
