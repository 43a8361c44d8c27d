/** The release of JuiceFS whose format and behaviour this client follows; other clients compare it with the volume's limits. */
export const COMPATIBLE_VERSION = "1.4.2";

/** Ours, as `juicefs version` prints it and as the session record carries it: the mark behind the plus is how our mounts know each other. */
export const CLIENT_MARK = "ts";
export const VERSION = `${COMPATIBLE_VERSION}+${CLIENT_MARK}.0.1.0`;
