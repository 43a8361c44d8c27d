import { readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { syncFolder } from "../base/folder-sync.ts";

/**
 * The append-only file of the driver's own Redis after a power loss. What Redis acknowledged is whole; behind it may lie parts of
 * what it was writing at that moment, zeros among them. Redis passes over an end that is missing, not over one that it cannot
 * read, and nobody would be there to mend it.
 */

const FOLDER = "appendonlydir";
const MANIFEST = "appendonly.aof.manifest";
/** Redis syncs after each turn: there is no more than the changes of one. More was damaged in some other way. */
const TAIL_MAX = 4 << 20;
const [CR, LF] = [13, 10];

/** What was cut off, and where it was put. */
export interface CutTail {
  readonly bytes: number;
  readonly aside: string;
}

/**
 * Cuts off what cannot be read at the end of the newest file, and puts it aside in `folder`. Redis must not be running.
 *
 * @returns undefined where there is nothing of that kind, and nothing was done
 */
export async function cutTail(folder: string): Promise<CutTail | undefined> {
  const path = newestFile(join(folder, FOLDER));
  if (path === undefined) return undefined;
  const log = readFileSync(path);
  const whole = wholeLength(log);
  const tail = log.subarray(whole);
  if (tail.length === 0 || tail.length > TAIL_MAX) return undefined;
  const aside = join(folder, `tail.bad-${new Date().toISOString().replaceAll(":", "")}`);
  await using copy = await open(aside, "w", 0o600);
  await copy.writeFile(tail);
  await copy.sync();
  await syncFolder(folder);
  await using file = await open(path, "r+");
  await file.truncate(whole);
  await file.sync();
  return { bytes: tail.length, aside };
}

/** The file that Redis appends to. */
function newestFile(folder: string): string | undefined {
  let manifest: string;
  try {
    manifest = readFileSync(join(folder, MANIFEST), "utf8");
  } catch {
    return undefined;
  }
  const lines = manifest.split("\n").filter((line) => line.endsWith(" type i"));
  const [, name] = /^file (\S+) seq /.exec(lines.at(-1) ?? "") ?? [];
  return name === undefined ? undefined : join(folder, name);
}

/** How much from the start on is whole commands; of a transaction, whole transactions. */
export function wholeLength(log: Buffer): number {
  let whole = 0;
  let inTransaction = false;
  for (let at = 0; ;) {
    const command = commandAt(log, at);
    if (command === undefined) return whole;
    at = command.end;
    if (command.name === "MULTI") inTransaction = true;
    if (command.name === "EXEC") inTransaction = false;
    if (!inTransaction) whole = at;
  }
}

/** The command that begins there; undefined where none does, or not a whole one. */
function commandAt(log: Buffer, at: number): { name: string; end: number } | undefined {
  const count = numberAt(log, at, "*");
  if (count === undefined || count.value < 1) return undefined;
  let { end } = count;
  let name = "";
  for (let index = 0; index < count.value; index++) {
    const length = numberAt(log, end, "$");
    if (length === undefined) return undefined;
    const behind = length.end + length.value;
    if (log[behind] !== CR || log[behind + 1] !== LF) return undefined;
    if (index === 0) name = log.toString("latin1", length.end, behind).toUpperCase();
    end = behind + 2;
  }
  return { name, end };
}

/** A line of a mark and a number. */
function numberAt(
  log: Buffer,
  at: number,
  mark: "*" | "$",
): { value: number; end: number } | undefined {
  const line = log.toString("latin1", at, at + 24);
  const [text, digits = ""] = /^[*$](\d{1,15})\r\n/.exec(line) ?? [];
  if (text === undefined || !text.startsWith(mark)) return undefined;
  return { value: Number(digits), end: at + text.length };
}
