import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { startProgram } from "../support/process.ts";

const WRITER = fileURLToPath(new URL("writer.ts", import.meta.url));

/** What the writer saw. */
export interface Report {
  readonly steps: number;
  readonly longestMs: number;
  /** Calls that were answered EIO, and not executed. */
  readonly refused: number;
  readonly wrong: readonly string[];
}

/** Runs the writer in `folder` while `disturb` is at work. */
export async function writeDuring(folder: string, disturb: () => Promise<void>): Promise<Report> {
  await mkdir(folder);
  const writer = startProgram(process.execPath, [WRITER, folder], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const gone = once(writer.child, "exit");
  try {
    await sleep(300);
    await disturb();
    await sleep(300);
  } finally {
    writer.child.stdin?.end();
  }
  const [status] = (await gone) as [number];
  assert.equal(status, 0, writer.output());
  return JSON.parse(writer.output()) as Report;
}
