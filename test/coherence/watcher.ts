import {
  closeSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  statSync,
} from "node:fs";
import { join } from "node:path";

/**
 * Looks all the time at what somebody else changes step by step, until its standard input ends. Prints as JSON how often it
 * looked, what it saw last, and each time that it saw an older state than before.
 */

export interface Watched {
  readonly looks: number;
  readonly last: Readonly<Record<string, number>>;
  readonly backwards: readonly string[];
}

const [folder = ""] = process.argv.slice(2);
const at = (name: string): string => join(folder, name);
const last: Record<string, number> = {};
const backwards: string[] = [];
let looks = 0;

/** What is seen of a step may come late, and never goes back. */
function see(what: string, step: number): void {
  const before = last[what] ?? 0;
  if (!(step >= before)) backwards.push(`${what}: ${step} after ${before}`);
  last[what] = step;
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

const page = Buffer.alloc(10);

function numberAt(fd: number, position: number): number {
  readSync(fd, page, 0, page.length, position);
  return Number(page.toString("latin1"));
}

const opened = openSync(at("data"), "r");
const replacedOnce = openSync(at("replaced"), "r");
const firstReplaced = readFileSync(replacedOnce, "latin1");

function look(): void {
  looks++;
  see("mode", statSync(at("mode")).mode & 0o777);
  see("size", statSync(at("size")).size);
  see("links", statSync(at("links")).nlink);
  see("replaced", Number(readFileSync(at("replaced"), "latin1")));
  see("symlink", Number(readlinkSync(at("symlink"))));
  for (const position of [0, 80_000]) {
    see(`data at ${position}`, numberAt(opened, position));
    const fd = openSync(at("data"), "r");
    see(`data at ${position}`, numberAt(fd, position));
    closeSync(fd);
  }
  see("size of an open file", fstatSync(opened).size);
  see("names listed", readdirSync(at("made")).length);
  const made = last["names made"] ?? 0;
  see("names made", exists(at(`made/${made}`)) ? made + 1 : made);
  if (made > 0) see("an old name", exists(at(`made/${looks % made}`)) ? 1 : 0);
  const gone = last["names gone"] ?? 0;
  see("names gone", exists(at(`gone/${gone}`)) ? gone : gone + 1);
  if (gone > 0) see("an old removal", exists(at(`gone/${looks % gone}`)) ? 0 : 1);
  if (readFileSync(replacedOnce, "latin1").length > 0) throw new Error("read past the end");
  readSync(replacedOnce, page, 0, page.length, 0);
  if (!page.toString("latin1").startsWith(firstReplaced)) {
    backwards.push(`the file that was replaced: ${page.toString("latin1")}`);
  }
}

let ended = false;
process.stdin.on("end", () => (ended = true));
process.stdin.resume();

function again(): void {
  look();
  if (ended) process.stdout.write(JSON.stringify({ looks, last, backwards } satisfies Watched));
  else setImmediate(again);
}

again();
