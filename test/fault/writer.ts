import {
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

/**
 * An application under which things are killed: numbered records written and appended, names made, moved and removed, until
 * its standard input ends. Prints as JSON what it saw. Any error ends it, except EIO, which says that nothing was done and
 * is counted; every acknowledged byte is checked at the end.
 */

const [folder = ""] = process.argv.slice(2);
let refused = 0;

function attempt<T>(work: () => T): T {
  for (;;) {
    try {
      return work();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EIO") throw error;
      refused++;
    }
  }
}
const RECORD = 12;

function record(number: number): Buffer {
  return Buffer.from(`${String(number).padStart(RECORD - 1, "0")}\n`);
}

let ended = false;
process.stdin.on("end", () => (ended = true));
process.stdin.resume();

const written = openSync(join(folder, "written"), "w");
const appended = openSync(
  join(folder, "appended"),
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT,
);
const nameless = openSync(join(folder, "nameless"), "w+");
unlinkSync(join(folder, "nameless"));
let longestMs = 0;
let number = 0;

function step(): void {
  const begun = performance.now();
  attempt(() => writeSync(written, record(number)));
  attempt(() => writeSync(appended, record(number)));
  attempt(() => writeSync(nameless, record(number), 0, RECORD, 0));
  if (number % 20 === 7) attempt(() => fsyncSync(written));
  if (number % 10 === 3) {
    const path = join(folder, `d${number}`);
    attempt(() => mkdirSync(path));
    attempt(() => rmdirSync(path));
  }
  if (number % 10 === 8) {
    const path = join(folder, `f${number}`);
    attempt(() => writeFileSync(path, record(number)));
    attempt(() => renameSync(path, `${path}.new`));
    if (attempt(() => readFileSync(`${path}.new`, "utf8")) !== record(number).toString()) {
      throw new Error(`File ${path} has other contents than were written`);
    }
    attempt(() => unlinkSync(`${path}.new`));
  }
  number++;
  longestMs = Math.max(longestMs, performance.now() - begun);
}

function run(): void {
  if (!ended) {
    step();
    setImmediate(run);
    return;
  }
  for (const fd of [written, appended, nameless]) closeSync(fd);
  const expected = Buffer.concat(Array.from({ length: number }, (_, index) => record(index)));
  const wrong = ["written", "appended"].filter(
    (name) => !readFileSync(join(folder, name)).equals(expected),
  );
  const report = { steps: number, longestMs: Math.round(longestMs), refused, wrong };
  process.stdout.write(JSON.stringify(report));
}

run();
