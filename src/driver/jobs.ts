import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type {
  DestroyDone,
  DestroyJob,
  FormatDone,
  FormatJob,
  Job,
  JobAnswer,
} from "../volume/job.ts";

/** Jobs on volumes are done by child processes: what hangs there is ended, and nothing of it can end the driver. */

const PROGRAM = fileURLToPath(new URL("../volume/job.ts", import.meta.url));

/**
 * Makes a volume that is not there yet.
 *
 * @throws Error in one sentence; also when `signal` ends it
 */
export async function formatInChild(job: FormatJob, signal: AbortSignal): Promise<FormatDone> {
  return runJob(job, signal);
}

/**
 * Deletes a volume for good. One that was begun goes on when it is asked for again.
 *
 * @throws Error in one sentence; also when `signal` ends it
 */
export async function destroyInChild(job: DestroyJob, signal: AbortSignal): Promise<DestroyDone> {
  return runJob(job, signal);
}

async function runJob<Done>(job: Job, signal: AbortSignal): Promise<Done> {
  signal.throwIfAborted();
  const child = spawn(process.execPath, [PROGRAM], { stdio: ["pipe", "pipe", "inherit"] });
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
