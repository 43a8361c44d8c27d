import { parentPort, workerData } from "node:worker_threads";
import type { Batch } from "./message-thread.ts";
import { writeMessage } from "./notify.ts";

/** Writes messages that may have to wait for an answer of the serving thread. */

const { fd } = workerData as { fd: number };
parentPort?.on("message", ({ number, messages }: Batch) => {
  for (const message of messages) writeMessage(fd, message);
  parentPort?.postMessage(number);
});
