import type { FollowedJob } from "../volume/progress.ts";
import { showProgress } from "./progress.ts";

/**
 * Runs a job that Ctrl-C ends in order: the piece of work under way is finished, connections are closed, what was done stays.
 *
 * @throws Error what the job throws, or that it was ended
 */
export async function runJob<T>(job: (options: FollowedJob) => Promise<T>): Promise<T> {
  const ended = new AbortController();
  const progress = showProgress();
  const end = (signal: NodeJS.Signals): void => {
    ended.abort(new Error(`Ended by ${signal}; what was done so far stays done`));
  };
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.once(signal, end);
  try {
    return await job({ progress, signal: ended.signal });
  } finally {
    progress.end();
    for (const signal of signals) process.off(signal, end);
  }
}

/** What a job found, for scripts. */
export function printJson(result: unknown): void {
  process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
}
