import { join, resolve } from "node:path";
import { variable } from "../base/environment.ts";
import { followed } from "../base/inside.ts";
import { log } from "../base/log.ts";
import { parseDuration } from "../options/values.ts";

/**
 * Where the driver keeps things and how long it waits. Each has a default that works; the environment changes them
 * (systemd's EnvironmentFile, `docker plugin set`), because a plugin's manifest and a unit both speak it.
 */
export interface Settings {
  /** Inside the managed plugin: the mounts end with the container, and the driver with dockerd. */
  readonly managed: boolean;
  /** What of the managed plugin's file system stays over its upgrades; undefined: all of the driver's does. */
  readonly kept: string | undefined;
  /** Where to listen; undefined: at the descriptor that systemd passes. */
  readonly socket: string | undefined;
  /** What must survive a reboot: known volumes, the embedded Redis, local objects, secrets, logs. */
  readonly state: string;
  /** Where containers find the mounts: `<volumes>/<name>`. Below a mount that is shared with dockerd's. */
  readonly volumes: string;
  /** What ends with the machine: staging folders. */
  readonly run: string;
  /** How long a volume stays mounted after its last user. */
  readonly graceMs: number;
}

const SYSTEMD_DESCRIPTORS = "1";
/** `propagatedMount` of config.json. */
const KEPT = "/jfs";

/** A value that is wrong is told in the log and passed over: without a driver no container would get its volume. */
export function readSettings(
  environment: NodeJS.ProcessEnv,
  { managed }: { managed: boolean },
): Settings {
  const root = managed ? KEPT : "/var/lib/juicefs-volume";
  const folder = (name: string, usual: string): string =>
    followed(resolve(variable(name, environment) ?? usual));
  const state = folder("JUICEFS_STATE", managed ? join(root, "state") : root);
  const activated =
    environment["LISTEN_FDS"] === SYSTEMD_DESCRIPTORS &&
    environment["LISTEN_PID"] === String(process.pid);
  return {
    managed,
    kept: managed ? KEPT : undefined,
    socket: activated
      ? undefined
      : (variable("JUICEFS_SOCKET", environment) ?? "/run/docker/plugins/juicefs.sock"),
    state,
    volumes: folder("JUICEFS_VOLUMES", join(managed ? root : state, "volumes")),
    run: folder("JUICEFS_RUN_DRIVER", "/run/juicefs-volume"),
    graceMs: grace(variable("JUICEFS_GRACE", environment)),
  };
}

/** Longer than a timer can wait, it would be over at once. */
const GRACE_MOST_MS = 2 ** 31 - 1;
const GRACE_MS = 30_000;

function grace(text: string | undefined): number {
  if (text === undefined) return GRACE_MS;
  try {
    return Math.min(parseDuration(text), GRACE_MOST_MS);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    log.error(`Cannot use JUICEFS_GRACE "${text}": ${error.message}; it is 30s`);
    return GRACE_MS;
  }
}

/** The descriptor that systemd passes first. */
export const ACTIVATED_FD = 3;
