import assert from "node:assert/strict";
import { once } from "node:events";
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { startProgram, until, type RunningProgram } from "../support/process.ts";
import { formatTestVolume, mountVolume } from "../support/mount.ts";
import { kill } from "./kill.ts";

/** Who waits for a page has his memory locked, and cannot be ended: he gets it, whatever is killed meanwhile. */

const MAPPER = fileURLToPath(new URL("mapper.py", import.meta.url));
const KILLS = Number(process.env["JUICEFS_TEST_KILLS"] ?? 5);
const PAGE = 4096;
const PAGES = 512;
/** What the mapper says before it begins. */
const MAPPED = "mapped\n";

interface Report {
  readonly touched: number;
  readonly longestMs: number;
  readonly wrong: readonly [page: number, number: number][];
}

async function startMapper(path: string, role: "reader" | "writer"): Promise<RunningProgram> {
  const program = startProgram("python3", [MAPPER, path, role], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  await until("the file is mapped", () => program.output().startsWith(MAPPED));
  return program;
}

async function endMapper({ child, output }: RunningProgram): Promise<Report> {
  const gone = once(child, "exit");
  child.stdin?.end();
  await gone;
  return JSON.parse(output().replace(MAPPED, "")) as Report;
}

/** Changes every page of the file again and again, all but the number it begins with. */
async function rewrite(path: string, signal: AbortSignal): Promise<number> {
  await using file = await open(path, "r+");
  let rounds = 0;
  for (; !signal.aborted; rounds++) {
    for (let page = 0; page < PAGES; page++) {
      if (page % 4 !== 0) await file.write(Buffer.alloc(8, rounds), 0, 8, page * PAGE + 8);
    }
    await file.datasync();
  }
  return rounds;
}

test("pages of a mapped file come although the serving process is killed again and again while another mount changes them", async (t) => {
  await using volume = await formatTestVolume();
  await using mount = await mountVolume(volume);
  await using other = await mountVolume(volume);
  const contents = Buffer.alloc(PAGES * PAGE);
  for (let page = 0; page < PAGES; page++) contents.writeBigUInt64BE(BigInt(page), page * PAGE);
  await writeFile(join(mount.path, "file"), contents);
  const mappers = [
    await startMapper(join(mount.path, "file"), "reader"),
    await startMapper(join(mount.path, "file"), "writer"),
  ];
  const abort = new AbortController();
  const changing = rewrite(join(other.path, "file"), abort.signal);
  for (let count = 0; count < KILLS; count++) {
    await sleep(Math.random() * 400);
    await kill({ path: mount.path, folder: volume.folder }, "serverPid");
  }
  const reports = await Promise.all(mappers.map(endMapper));
  abort.abort();
  t.diagnostic(`${JSON.stringify(reports)}, ${await changing} rounds`);
  for (const { wrong, touched } of reports) {
    assert.deepEqual(wrong, []);
    assert.ok(touched > 0);
  }
});
