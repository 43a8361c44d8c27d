import { prepareTask, type Prepared } from "./tasks.ts";
import type { FromLoad, ToLoad } from "./pool.ts";

/** A load process: prepares a task, runs it when told to, says how long it took. */

let run: Prepared | undefined;

function answer(message: FromLoad): void {
  process.send?.(message);
}

function take(message: ToLoad): void {
  if (message.kind === "prepare") {
    run = prepareTask(message.task);
    answer({ kind: "ready" });
    return;
  }
  if (run === undefined) throw new Error("Told to run before a task was prepared");
  const began = process.hrtime.bigint();
  const done = run();
  const ended = process.hrtime.bigint();
  run = undefined;
  const { operations, samples } =
    typeof done === "number" ? { operations: done, samples: [] } : done;
  const times = { began: began.toString(), ended: ended.toString() };
  answer({ kind: "done", operations, samples, ...times });
}

process.on("message", (message: ToLoad) => {
  try {
    take(message);
  } catch (error) {
    answer({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
  }
});
process.on("disconnect", () => process.exit());
