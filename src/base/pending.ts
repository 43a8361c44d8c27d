/**
 * Things that were begun and have not ended. Whoever asks is told when all that were under way then have ended, whatever
 * was begun since: a busy place keeps nobody waiting for ever.
 */
export class Pending {
  readonly #tokens = new Set<PendingToken>();
  /** Those who asked since something was last begun. */
  #latest: Waiter | undefined;

  get size(): number {
    return this.#tokens.size;
  }

  begin(): PendingToken {
    this.#latest = undefined;
    const token = { waiters: [] };
    this.#tokens.add(token);
    return token;
  }

  end(token: PendingToken): void {
    if (!this.#tokens.delete(token)) return;
    for (const waiter of token.waiters) {
      if (--waiter.left > 0) continue;
      if (this.#latest === waiter) this.#latest = undefined;
      for (const run of waiter.runs) run();
    }
  }

  /** Calls back at once when nothing is under way. */
  whenEnded(run: () => void): void {
    if (this.#tokens.size === 0) run();
    else (this.#latest ??= wait(this.#tokens)).runs.push(run);
  }

  /** The same for those under way that were begun before one of them. */
  whenEndedBefore(token: PendingToken, run: () => void): void {
    const earlier = new Set<PendingToken>();
    for (const one of this.#tokens) {
      if (one === token) break;
      earlier.add(one);
    }
    if (earlier.size === 0) run();
    else wait(earlier).runs.push(run);
  }
}

export interface PendingToken {
  readonly waiters: Waiter[];
}

interface Waiter {
  left: number;
  readonly runs: (() => void)[];
}

function wait(tokens: ReadonlySet<PendingToken>): Waiter {
  const waiter: Waiter = { left: tokens.size, runs: [] };
  for (const token of tokens) token.waiters.push(waiter);
  return waiter;
}
