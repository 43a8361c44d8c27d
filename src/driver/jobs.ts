import { spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import pLimit from "p-limit";
import { childEnvironment } from "../mount/child-environment.ts";
import type {
  DestroyDone,
  DestroyJob,
  FormatDone,
  FormatJob,
  Job,
  JobAnswer,
} from "../volume/job.ts";

/** Jobs on volumes are done by child processes: what hangs there is ended, and nothing of it can end the driver. */

/** A process is a quarter of a second of work before it asks anybody: more at once would all be late. Those that wait for servers need room. */
const AT_ONCE = Math.max(8, 4 * availableParallelism());
const formatting = pLimit(AT_ONCE);
const destroying = pLimit(AT_ONCE);

const PROGRAM = fileURLToPath(new URL("../volume/job.ts", import.meta.url));

/**
 * Makes a volume that is not there yet.
 *
 * @param limitMs how long it may take once it is its turn
 * @throws Error in one sentence; a DOMException when `signal` or the limit ends it
 */
export async function formatInChild(
  job: FormatJob,
  { signal, limitMs }: { signal: AbortSignal; limitMs: number },
): Promise<FormatDone> {
  return formatting(async () =>
    runJob<FormatDone>(job, AbortSignal.any([signal, AbortSignal.timeout(limitMs)])),
  );
}

/**
 * Deletes a volume for good. One that was begun goes on when it is asked for again.
 *
 * @throws Error in one sentence; also when `signal` ends it
 */
export async function destroyInChild(job: DestroyJob, signal: AbortSignal): Promise<DestroyDone> {
  return destroying(async () => runJob<DestroyDone>(job, signal));
}

async function runJob<Done>(job: Job, signal: AbortSignal): Promise<Done> {
  signal.throwIfAborted();
  const child = spawn(process.execPath, [PROGRAM], {
    stdio: ["pipe", "pipe", "inherit"],
    env: childEnvironment(),
  });
  const stop = (): void => {
    child.kill("SIGKILL");
  };
  signal.addEventListener("abort", stop, { once: true });
  try {
    // A child that ends before it read its job tells why by its exit.
    child.stdin.on("error", () => undefined);
    child.stdin.end(JSON.stringify(job));
    const [said, [code, how]] = await Promise.all([
      text(child.stdout),
      once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>,
    ]);
    signal.throwIfAborted();
    if (said === "") {
      throw new Error(
        `Cannot ${job.job}: the process for it ended with ${how ?? `status ${code}`}`,
      );
    }
    const answer = JSON.parse(said) as JobAnswer<Done>;
    if ("failed" in answer) throw new Error(answer.failed);
    return answer.done;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
