import { levels, pino, stdSerializers, type Logger } from "pino";
import { variable } from "./environment.ts";

export type { Logger };

const asked = variable("JUICEFS_LOG_LEVEL")?.toLowerCase() ?? "info";
const known = asked === "silent" || Object.hasOwn(levels.values, asked);

/**
 * The program's log: JSON lines, or readable text on a terminal, to standard error, so that what a
 * command prints stays clean. The level comes from `JUICEFS_LOG_LEVEL` until a command sets another one.
 */
export const log: Logger = pino(
  {
    level: known ? asked : "info",
    base: { pid: process.pid },
    serializers: { error: stdSerializers.errWithCause },
    timestamp: pino.stdTimeFunctions.isoTime,
  },
  destination(),
);

if (!known)
  log.error(`Cannot use JUICEFS_LOG_LEVEL "${asked}": there is no such level; it is info`);

function destination(): ReturnType<typeof pino.destination> | ReturnType<typeof pino.transport> {
  if (!process.stderr.isTTY) {
    const stderr = pino.destination({ dest: 2, sync: true });
    // Whoever read it may be gone: a mount goes on.
    stderr.on("error", () => undefined);
    return stderr;
  }
  return pino.transport({
    target: "pino-pretty",
    options: { destination: 2, ignore: "pid,hostname", translateTime: "SYS:HH:MM:ss" },
  });
}
