import { once } from "node:events";
import { rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { basename, join } from "node:path";
import { log } from "../base/log.ts";
import { openVolume } from "../volume/open.ts";
import type { ServerConfig } from "./messages.ts";
import { findOrphans, removeHome, type Orphan } from "./orphans.ts";
import { holdsUnstored, readOwner, sharedIn } from "./shared-folder.ts";

/**
 * What a mount whose two processes died at one moment had not stored is stored by the next mount of the volume, exactly
 * once: as the successor in the session of the dead, which ends with that.
 */

/** Stores what earlier mounts of the volume left, and ends their sessions. What cannot be stored now stays. */
export async function adoptOrphans(config: ServerConfig, uuid: string): Promise<void> {
  const orphans = (await findOrphans()).filter(({ owner }) => owner.uuid === uuid);
  for (const orphan of orphans) {
    await adopt(orphan, config).catch((error: unknown) => {
      log.error(
        { ...orphan, error },
        "what a mount that died had not stored stays for the next one",
      );
    });
  }
}

async function adopt({ home, owner }: Orphan, config: ServerConfig): Promise<void> {
  const claim = await claimed(home);
  if (claim === undefined) return;
  try {
    const folder = sharedIn(home);
    if (readOwner(folder) === undefined) return;
    // Nobody holds these files open any more.
    rmSync(join(folder, "handles"), { force: true });
    const volume = await openVolume(config.metaUrl, {
      ...{ mountpoint: owner.mountpoint, values: config.values, readOnly: false, folder },
      after: { sid: BigInt(owner.sid), lastNotice: undefined },
      gone: () => undefined,
    });
    await volume.close();
    if (holdsUnstored(folder)) throw new Error("Not everything could be stored");
    await removeHome(home);
    log.warn({ ...owner }, "stored what a mount that died had left");
  } finally {
    claim.close();
  }
}

/** One process at a time may adopt it; the claim ends with that process. */
async function claimed(home: string): Promise<Server | undefined> {
  const server = createServer().listen(`\0juicefs-orphan-${basename(home)}`);
  try {
    await once(server, "listening");
    return server;
  } catch {
    return undefined;
  }
}
