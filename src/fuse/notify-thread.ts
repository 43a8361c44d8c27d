import { parentPort, workerData } from "node:worker_threads";
import { writeMessage } from "./notify.ts";

/** Writes messages that may have to wait for an answer of the serving thread. */

const { fd } = workerData as { fd: number };
parentPort?.on("message", (message: Uint8Array) => {
  writeMessage(fd, message);
});
