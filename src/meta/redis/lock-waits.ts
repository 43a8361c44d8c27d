import { FsError } from "../../base/fs-error.ts";
import type { Trust } from "../meta.ts";
import type { Ino } from "../types.ts";

/**
 * Who waits for a lock here. A waiter tries again when a notice says that a lock of its inode was dropped, or the server
 * that its locks were changed by a client that sends none; the poll is a net for what is lost.
 */

/** Between two tries of a waiter nobody woke, in milliseconds. */
const POLL_MS: Readonly<Record<Trust, number>> = { long: 1000, short: 250, none: 200 };

export class LockWaits {
  readonly #waiting = new Map<Ino, Set<() => void>>();

  /** A lock of this inode was dropped somewhere. */
  wake(ino: Ino): void {
    for (const resolve of this.#waiting.get(ino) ?? []) resolve();
  }

  /** Notices may have been missed. */
  wakeAll(): void {
    for (const ino of this.#waiting.keys()) this.wake(ino);
  }

  /**
   * Tries until there is an answer.
   *
   * @throws FsError EINTR when the signal aborts
   */
  async until<T>(
    ino: Ino,
    attempt: () => Promise<T | undefined>,
    { signal, trust }: { signal: AbortSignal; trust: () => Trust },
  ): Promise<T> {
    for (;;) {
      if (signal.aborted) throw new FsError("EINTR", "wait for a lock");
      // Before the try: the lock may be dropped before its answer is here.
      const wakeup = this.#wakeup(ino, signal);
      try {
        const answer = await attempt();
        if (answer !== undefined) return answer;
        await wakeup.after(POLL_MS[trust()]);
      } finally {
        wakeup.end();
      }
    }
  }

  #wakeup(ino: Ino, signal: AbortSignal): { after(limitMs: number): Promise<void>; end(): void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = (): void => {
      resolve();
    };
    const waiting = this.#waiting.get(ino) ?? new Set();
    this.#waiting.set(ino, waiting.add(done));
    signal.addEventListener("abort", done, { once: true });
    let timer: NodeJS.Timeout | undefined;
    return {
      after(limitMs) {
        timer = setTimeout(done, limitMs);
        return promise;
      },
      end: () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        waiting.delete(done);
        if (waiting.size === 0 && this.#waiting.get(ino) === waiting) this.#waiting.delete(ino);
      },
    };
  }
}

/** What the scripts of locks answer: the newest notice when it was done; undefined where another owner is in the way. */
export function lastNotice(reply: unknown): string | undefined {
  return Buffer.isBuffer(reply) ? reply.toString("latin1") : undefined;
}

/** A lock owner as the format prints it: the session, and sixteen upper-case digits. */
export function ownerField(sid: bigint, owner: bigint): string {
  return `${sid}_${BigInt.asUintN(64, owner).toString(16).toUpperCase().padStart(16, "0")}`;
}
