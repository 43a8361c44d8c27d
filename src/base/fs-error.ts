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
    super(`${action}: ${code}`, options);
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
