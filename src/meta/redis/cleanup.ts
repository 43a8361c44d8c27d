import { setTimeout as sleep } from "node:timers/promises";
import { log } from "../../base/log.ts";
import { TRASH_INO, TYPE_DIRECTORY } from "../limits.ts";
import type { CleanedUp } from "../upkeep.ts";
import type { Caller, Ino } from "../types.ts";
import type { MetaContext } from "./context.ts";
import { readdir } from "./lookup.ts";
import { forgetInodes } from "./nameless.ts";
import { remove, type Removal } from "./remove.ts";
import { integer, list, text } from "./reply.ts";
import { callScript } from "./scripts.ts";

/**
 * What is left to do after names are gone (JuiceFS pkg/meta/base.go `cleanup*`, 1.4). Each job is done by one client in an
 * hour, whoever claims it first, and so slowly that nobody is in its way.
 */

const HOUR = 3600;
/** Part of its period after which a job may be claimed again. */
const CLAIM_PART = 0.9;
/** Removals and deletions of an hourly job in a second. */
const WORK_PER_SECOND = 500;
/** What was removed at the end of an hour lies in its folder too. */
const TRASH_HOUR = 1;
const SCAN = 1000;
const DETACHED_HOURS = 24;
const ROOT_USER: Caller = { uid: 0, gid: 0, pid: 0 };

/** The last handle of an inode without a name was closed; `sid`: the session that kept it. */
export async function forgetOpen(context: MetaContext, ino: Ino, sid = context.sid): Promise<void> {
  await forgetInodes(context, [ino], sid);
}

/** Does the hourly jobs that nobody else did, until the signal aborts. */
export async function hourlyJobs(context: MetaContext, signal: AbortSignal): Promise<void> {
  const job = new Job(context, signal, { perSecond: WORK_PER_SECOND, graceHours: 1 });
  const jobs: [string, () => Promise<void>][] = [
    ["lastCleanupFiles", () => job.deletedFiles()],
    ["nextCleanupSlices", () => job.lostSlices()],
    ["lastCleanupTrash", () => job.trash()],
  ];
  for (const [key, work] of jobs) {
    if (signal.aborted) return;
    try {
      if (await claim(context, key)) await work();
    } catch (error) {
      if (!signal.aborted)
        log.warn({ error, job: key }, "a clean-up stopped, the next one goes on");
    }
  }
}

/** Does all of them now, as quickly as it goes. */
export async function cleanUpNow(
  context: MetaContext,
  signal = new AbortController().signal,
): Promise<CleanedUp> {
  const job = new Job(context, signal, { perSecond: Infinity, graceHours: 0 });
  await job.trash();
  await job.deletedFiles();
  await job.lostSlices();
  return job.counts;
}

async function claim(context: MetaContext, key: string): Promise<boolean> {
  const now = Math.floor(Date.now() / 1000);
  return integer(await callScript(context.client, "claim", [key], [now, CLAIM_PART * HOUR])) === 1;
}

interface JobPace {
  readonly perSecond: number;
  /** What became due lately is left to whoever is at it. */
  readonly graceHours: number;
}

class Job {
  readonly counts = { files: 0, slices: 0, removed: 0, detached: 0 };
  readonly #context: MetaContext;
  readonly #signal: AbortSignal;
  readonly #how: JobPace;
  #started = Date.now();
  #done = 0;

  constructor(context: MetaContext, signal: AbortSignal, how: JobPace) {
    this.#context = context;
    this.#signal = signal;
    this.#how = how;
  }

  /** Files whose deletion was interrupted. */
  async deletedFiles(): Promise<void> {
    const { client, deletions } = this.#context;
    const before = Math.floor(Date.now() / 1000) - this.#how.graceHours * HOUR;
    for (;;) {
      const found = await client.zrangebyscore("delfiles", "-inf", before, "LIMIT", 0, SCAN);
      for (const member of found) {
        await this.#pace();
        const [ino = "", length = ""] = member.split(":");
        if (length === "") continue;
        await deletions.file(BigInt(ino), Number(length));
        this.counts.files++;
      }
      if (found.length < SCAN || found.every((member) => !member.includes(":"))) return;
    }
  }

  /** Slices nobody refers to whose deletion was interrupted, and counts that say nothing. */
  async lostSlices(): Promise<void> {
    const { client, deletions } = this.#context;
    let cursor = "0";
    do {
      const [next, fields] = await client.hscan("sliceRef", cursor, "COUNT", SCAN);
      cursor = next;
      const zeros: string[] = [];
      for (let at = 0; at < fields.length; at += 2) {
        const [field = "", id, size] = /^k(\d+)_(\d+)$/.exec(fields[at] ?? "") ?? [];
        const references = Number(fields[at + 1]);
        if (references === 0 && field !== "") zeros.push(field);
        if (references >= 0 || id === undefined) continue;
        await this.#pace();
        await deletions.slice(BigInt(id), Number(size));
        this.counts.slices++;
      }
      if (zeros.length > 0) await callScript(client, "dropzero", ["sliceRef"], zeros);
    } while (cursor !== "0");
  }

  /** Everything that was kept for a while: old hours of the trash, replaced slices, trees that were cut off. */
  async trash(): Promise<void> {
    await this.#expiredFolders();
    await this.#delayedSlices();
    await this.#detachedNodes();
  }

  async #expiredFolders(): Promise<void> {
    const hours = 24 * this.#context.format().TrashDays + TRASH_HOUR + this.#how.graceHours;
    const edge = Date.now() - hours * HOUR * 1000;
    let cursor = "0";
    do {
      const batch = await readdir(this.#context, TRASH_INO, cursor, false);
      cursor = batch.cursor;
      for (const { name, ino, type } of batch.entries) {
        const hour = name.toString().replace(/^(\d+-\d+-\d+)-(\d+)$/, "$1T$2:00:00Z");
        if (type !== TYPE_DIRECTORY || !(Date.parse(hour) < edge)) continue;
        log.info({ folder: name.toString() }, "emptying the trash");
        await this.#empty(ino);
        await this.#remove({ parent: TRASH_INO, name, known: ino, directory: true, expired: true });
      }
    } while (cursor !== "0");
  }

  async #delayedSlices(): Promise<void> {
    const { client, deletions } = this.#context;
    const edge = Date.now() / 1000 - this.#context.format().TrashDays * 24 * HOUR;
    let cursor = "0";
    do {
      const [next, fields] = await client.hscan("delSlices", cursor, "COUNT", 10);
      cursor = next;
      for (let at = 0; at < fields.length; at += 2) {
        const field = fields[at] ?? "";
        if (!(Number(field.split("_")[1]) < edge)) continue;
        await this.#pace();
        const gone = await callScript(client, "delayedslices", ["delSlices", "sliceRef"], [field]);
        await deletions.slices(list(gone).map(text));
        this.counts.slices += list(gone).length / 2;
      }
    } while (cursor !== "0");
  }

  async #detachedNodes(): Promise<void> {
    const { client, answers } = this.#context;
    const edge = Math.floor(Date.now() / 1000) - DETACHED_HOURS * HOUR;
    for (const ino of await client.zrangebyscore("detachedNodes", "-inf", edge)) {
      await this.#empty(BigInt(ino));
      await answers.change("detached", ["detachedNodes", `i${ino}`, `d${ino}`, `x${ino}`], [ino]);
      this.counts.detached++;
    }
  }

  /** Removes everything below a directory, for good. */
  async #empty(ino: Ino): Promise<void> {
    let cursor = "0";
    do {
      const batch = await readdir(this.#context, ino, cursor, false);
      cursor = batch.cursor;
      for (const { name, ino: known, type } of batch.entries) {
        const directory = type === TYPE_DIRECTORY;
        if (directory) await this.#empty(known);
        const how = { skipTrash: true, expired: true };
        await this.#remove({ parent: ino, name, known, directory, ...how });
      }
    } while (cursor !== "0");
  }

  /** A name that somebody else removed meanwhile is removed. */
  async #remove(removal: Removal): Promise<void> {
    await this.#pace();
    try {
      await remove(this.#context, ROOT_USER, removal);
      this.counts.removed++;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    }
  }

  /** Waits as long as the work done so far should have taken. */
  async #pace(): Promise<void> {
    this.#signal.throwIfAborted();
    this.#done++;
    const early = (this.#done * 1000) / this.#how.perSecond - (Date.now() - this.#started);
    if (early > 100) await sleep(early, undefined, { signal: this.#signal });
    if (early < -1000) [this.#started, this.#done] = [Date.now(), 0];
  }
}
