import type { ChildProcess } from "node:child_process";

/**
 * The channel between supervisor and serving process, whichever of them started the other. It ends when the other process
 * does; process ids say nothing, for where nobody reaps them the dead look alive.
 */
export interface Link<Sent, Received> {
  /** Settles when the message is on its way, also where nobody listens any more. */
  send(message: Sent): Promise<void>;
  onMessage(take: (message: Received) => void): void;
  /** The other process is gone, or has closed the channel. */
  onEnd(ended: () => void): void;
  /** Closes this side; the other one sees the end. */
  close(): void;
}

/** To the process that started this one, or to one that this one started. */
export function linkTo<Sent, Received>(other: ChildProcess | NodeJS.Process): Link<Sent, Received> {
  let ended = false;
  other.once("disconnect", () => {
    ended = true;
  });
  return {
    async send(message) {
      if (!other.connected) return;
      await new Promise<void>((resolve) => {
        other.send?.(message as object, undefined, undefined, () => {
          resolve();
        });
      });
    },
    onMessage(take) {
      other.on("message", take as (message: unknown) => void);
    },
    onEnd(told) {
      if (ended) queueMicrotask(told);
      else other.once("disconnect", told);
    },
    close() {
      if (other.connected) other.disconnect();
    },
  };
}
