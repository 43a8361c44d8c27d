import { setPriority } from "node:os";

/** As JuiceFS has it (cmd/mount_unix.go, 1.4). */
const NICE = -19;

/**
 * Everybody who uses the volume waits for the processes of its mount: on a busy machine they go first, as the official client
 * does. Processes that this one starts inherit it, so that a successor is preferred from its first moment.
 */
export function preferProcess(): void {
  try {
    setPriority(NICE);
  } catch {
    // Without the right to it things are slower, not wrong.
  }
}
