import { setTimeout as sleep } from "node:timers/promises";

export interface RetryPolicy {
  /** Tries in all, at least 1. */
  readonly attempts: number;
  /** The pause before try `attempt` (2, 3, ...), in milliseconds. */
  readonly pauseMs: (attempt: number) => number;
  /** False for an error that another try would meet again. */
  readonly worthRetrying?: (error: unknown) => boolean;
  readonly signal?: AbortSignal;
}

/** Does `work` until it succeeds, the tries are used up or the signal aborts. Throws the last error. */
export async function retry<T>(policy: RetryPolicy, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const last = attempt >= policy.attempts || policy.signal?.aborted === true;
      if (last || policy.worthRetrying?.(error) === false) throw error;
    }
    await sleep(policy.pauseMs(attempt + 1), undefined, { signal: policy.signal });
  }
}
