import { join } from "node:path";
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

/** @throws RangeError naming the variable whose value is wrong */
export function readSettings(
  environment: NodeJS.ProcessEnv,
  { managed }: { managed: boolean },
): Settings {
  const root = managed ? KEPT : "/var/lib/juicefs-volume";
  const state = environment["JUICEFS_STATE"] ?? (managed ? join(root, "state") : root);
  const activated =
    environment["LISTEN_FDS"] === SYSTEMD_DESCRIPTORS &&
    environment["LISTEN_PID"] === String(process.pid);
  return {
    managed,
    kept: managed ? KEPT : undefined,
    socket: activated
      ? undefined
      : (environment["JUICEFS_SOCKET"] ?? "/run/docker/plugins/juicefs.sock"),
    state,
    volumes: environment["JUICEFS_VOLUMES"] ?? join(managed ? root : state, "volumes"),
    run: environment["JUICEFS_RUN_DRIVER"] ?? "/run/juicefs-volume",
    graceMs: grace(environment["JUICEFS_GRACE"] ?? ""),
  };
}

function grace(text: string): number {
  try {
    return text === "" ? 30_000 : parseDuration(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RangeError(`Cannot use JUICEFS_GRACE "${text}": ${error.message}`, { cause: error });
  }
}

/** The descriptor that systemd passes first. */
export const ACTIVATED_FD = 3;
