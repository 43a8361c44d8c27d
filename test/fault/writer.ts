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
 * An application under which things are killed: numbered records written and appended, large pieces that overwrite each other,
 * names made, moved and removed, until
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
const PIECES_SIZE = 6 << 20;
const PIECE_MAX = 700_000;

function record(number: number): Buffer {
  return Buffer.from(`${String(number).padStart(RECORD - 1, "0")}\n`);
}

/** Overwrites a part of the file of pieces with bytes that follow from `number`. */
function writePiece(): void {
  const at = (number * 7_919_191) % (PIECES_SIZE - PIECE_MAX);
  const piece = Buffer.alloc(1 + ((number * 104_729) % PIECE_MAX), record(number));
  piece.copy(expectedPieces, at);
  for (let done = 0; done < piece.length;) {
    const rest = done;
    done += attempt(() => writeSync(pieces, piece, rest, piece.length - rest, at + rest));
  }
  if (number % 3 === 0) attempt(() => fsyncSync(pieces));
}

let ended = false;
process.stdin.on("end", () => (ended = true));
process.stdin.resume();

const written = openSync(join(folder, "written"), "w");
const appended = openSync(
  join(folder, "appended"),
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT,
);
const pieces = openSync(join(folder, "pieces"), "w+");
const expectedPieces = Buffer.alloc(PIECES_SIZE);
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
  if (number % 25 === 5) writePiece();
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
  for (const fd of [written, appended, nameless, pieces]) closeSync(fd);
  const expected = Buffer.concat(Array.from({ length: number }, (_, index) => record(index)));
  const wrong = ["written", "appended"].filter(
    (name) => !readFileSync(join(folder, name)).equals(expected),
  );
  const end = expectedPieces.length;
  const inFile = Buffer.alloc(end);
  readFileSync(join(folder, "pieces")).copy(inFile);
  if (!inFile.equals(expectedPieces)) wrong.push("pieces");
  const report = { steps: number, longestMs: Math.round(longestMs), refused, wrong };
  process.stdout.write(JSON.stringify(report));
}

run();
