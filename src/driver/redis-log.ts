import { readFileSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
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
/** How much of the file is looked at in one go; more where one command is longer. */
const WINDOW = 64 << 20;
/** No command of Redis is longer: its protocol allows 512 MiB a value. */
const COMMAND_MAX = 1 << 30;
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
  await using file = await open(path, "r+");
  const whole = await wholeLength(file);
  const { size } = await file.stat();
  if (size === whole || size - whole > TAIL_MAX) return undefined;
  const tail = await readAt(file, whole, size - whole);
  const aside = join(folder, `tail.bad-${new Date().toISOString().replaceAll(":", "")}`);
  await using copy = await open(aside, "w", 0o600);
  await copy.writeFile(tail);
  await copy.sync();
  await syncFolder(folder);
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
export async function wholeLength(file: FileHandle, window = WINDOW): Promise<number> {
  let [whole, from, length] = [0, 0, window];
  let inTransaction = false;
  for (;;) {
    const log = await readAt(file, from, length);
    let at = 0;
    for (;;) {
      const command = commandAt(log, at);
      if (command === undefined) break;
      at = command.end;
      if (command.name === "MULTI") inTransaction = true;
      if (command.name === "EXEC") inTransaction = false;
      if (!inTransaction) whole = from + at;
    }
    if (log.length < length) return whole;
    // The command that was not whole may be so with what follows.
    length = at === 0 ? length * 2 : window;
    if (length > COMMAND_MAX) return whole;
    from += at;
  }
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const left = length - filled;
    const { bytesRead } = await file.read(buffer, filled, left, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
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
