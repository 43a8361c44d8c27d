import { pino, stdSerializers, type Logger } from "pino";

export type { Logger };

/**
 * The program's log: JSON lines, or readable text on a terminal, to standard error, so that what a
 * command prints stays clean. The level comes from `JUICEFS_LOG_LEVEL` until a command sets another one.
 */
export const log: Logger = pino(
  {
    level: process.env["JUICEFS_LOG_LEVEL"] ?? "info",
    base: { pid: process.pid },
    serializers: { error: stdSerializers.errWithCause },
    timestamp: pino.stdTimeFunctions.isoTime,
  },
  destination(),
);

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
