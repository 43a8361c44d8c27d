import { log } from "../base/log.ts";
import { VERSION } from "../base/version.ts";
import type { MountConfig, OpenedMessage, ServedMount } from "./messages.ts";
import { Supervisor } from "./supervisor.ts";

/**
 * The supervisor as a process of its own. Who wants something mounted sends the configuration over the channel that Node
 * makes, and is told whether it is; then the channel is closed and the supervisor stays until the volume is unmounted. A
 * serving process whose supervisor died sends what it serves, and keeps the channel.
 */

export type SuperviseRequest = { readonly mount: MountConfig } | { readonly adopt: ServedMount };

export type SuperviseAnswer =
  | { readonly mounted: OpenedMessage; readonly version: string }
  /** One sentence. */
  | { readonly failed: string };

async function supervise(request: SuperviseRequest): Promise<void> {
  const supervisor =
    "mount" in request ? await mounted(request.mount) : await adopted(request.adopt);
  if (supervisor === undefined) return;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => void supervisor.stop().then(() => process.exit()));
  }
  await supervisor.ended();
}

async function mounted(config: MountConfig): Promise<Supervisor | undefined> {
  const supervisor = new Supervisor(config);
  try {
    await answer({ mounted: await supervisor.start(), version: VERSION });
    return supervisor;
  } catch (error) {
    await answer({ failed: error instanceof Error ? error.message : String(error) });
    process.exitCode = 1;
    return undefined;
  }
}

async function adopted(mount: ServedMount): Promise<Supervisor> {
  const supervisor = new Supervisor(mount.config);
  await supervisor.adopt(mount);
  return supervisor;
}

async function answer(message: SuperviseAnswer): Promise<void> {
  if (!process.connected) return;
  await new Promise<void>((resolve) => {
    process.send?.(message, () => {
      resolve();
    });
  });
  if (process.connected) process.disconnect();
}

process.once("message", (request: SuperviseRequest) => {
  supervise(request).catch((error: unknown) => {
    log.fatal({ error }, "the supervisor cannot go on");
    process.exitCode = 1;
  });
});
// A terminal that is closed takes nothing along.
process.on("SIGHUP", () => undefined);
