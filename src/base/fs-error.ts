import { constants } from "node:os";

export type ErrnoName = keyof typeof constants.errno;

/**
 * An operation refused for a reason POSIX names. `code` is what the process that made the
 * system call sees; `cause` is what is logged.
 */
export class FsError extends Error {
  override readonly name = "FsError";
  readonly code: ErrnoName;

  constructor(code: ErrnoName, action: string, options?: ErrorOptions) {
    // Refusals are everyday answers: where they were thrown is not worth half of what a request costs.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(`${action}: ${code}`, options);
    Error.stackTraceLimit = stackTraceLimit;
    this.code = code;
  }
}

/**
 * The positive errno to answer the kernel with. Only an FsError speaks to the caller: an ENOENT
 * of our own cache folder is not the caller's ENOENT, so everything else is EIO.
 */
export function errnoOf(error: unknown): number {
  return constants.errno[error instanceof FsError ? error.code : "EIO"];
}

/** The other way round; EIO where no name is known. */
export function fsErrorOf(errno: number, action: string): FsError {
  const named = Object.entries(constants.errno).find(([, number]) => number === errno);
  return new FsError((named?.[0] ?? "EIO") as ErrnoName, action);
}
