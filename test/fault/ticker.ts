import { constants, closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";

/**
 * An application that appends numbered records to a file all the time. Asked by SIGUSR2 it stores what is not stored yet, so that
 * no trouble of before is left for later, and says how long the longest record since it was asked last took, in milliseconds; told
 * to end, by its exit status whether every record is there.
 */

const [folder = ""] = process.argv.slice(2);
const path = join(folder, `ticks-${process.pid}`);
const file = openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT);
let longestMs = 0;
let number = 0;
let ended = false;

function record(of: number): string {
  return `${String(of).padStart(11, "0")}\n`;
}

function timed(work: () => void): void {
  const begun = performance.now();
  work();
  longestMs = Math.max(longestMs, performance.now() - begun);
}

function tick(): void {
  if (ended) return;
  timed(() => {
    writeSync(file, record(number++));
    if (number % 50 === 0) fsyncSync(file);
  });
  setTimeout(tick, 2);
}

process.on("SIGUSR2", () => {
  timed(() => {
    fsyncSync(file);
  });
  process.stdout.write(`${Math.round(longestMs)} ms\n`);
  longestMs = 0;
});
process.on("SIGTERM", () => {
  ended = true;
  closeSync(file);
  const expected = Array.from({ length: number }, (_, index) => record(index)).join("");
  process.exitCode = readFileSync(path, "utf8") === expected ? 0 : 1;
});
tick();
