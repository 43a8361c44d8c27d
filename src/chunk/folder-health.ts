import { readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import { log } from "../base/log.ts";
import type { CachePlace } from "./cache-place.ts";

/**
 * Whether a cache folder can be used: errors and slow answers of the disk put it to rest until it answers a probe, a folder
 * that went away is looked for. Each change is told once.
 */

export type FolderState =
  | "well"
  /** Can be read, not written. */
  | "read-only"
  /** The disk fails: nothing is asked of it but probes. */
  | "resting"
  /** The folder is not there, or another one is. */
  | "lost";

export interface HealthEvents {
  /** What was known of the folder is not true any more. */
  readonly lost: () => void;
  /** It is there again. */
  readonly back: () => void;
}

const FAILURES_MAX = 3;
const FAILURES_MS = 60_000;
const SLOW_MS = 30_000;
const PROBE_EVERY_MS = 500;
const IDENTIFY_EVERY_MS = 10_000;
/** Probes in a row that must succeed after failures. */
const PROBES_WELL = 10;
const PROBE = "chunks/01/0/1_0_3";
const READ_ONLY = new Set(["EROFS", "EACCES", "EPERM"]);

export class FolderHealth {
  readonly #place: CachePlace;
  readonly #events: HealthEvents;
  #state: FolderState = "well";
  #id = "";
  #device = -1;
  #failures: number[] = [];
  #probes = 0;
  #lastProbe = 0;
  #lastIdentify = 0;

  constructor(place: CachePlace, events: HealthEvents) {
    this.#place = place;
    this.#events = events;
  }

  get state(): FolderState {
    return this.#state;
  }
  get readable(): boolean {
    return this.#state === "well" || this.#state === "read-only";
  }
  get writable(): boolean {
    return this.#state === "well";
  }

  /** The folder's identity; made where there is none. */
  async begin(): Promise<string> {
    try {
      const { id, device } = await this.#place.identify();
      this.#id = id;
      this.#device = device;
      await this.#probe();
    } catch (error) {
      this.#id = (await this.#place.identity()) ?? "";
      this.#device = await this.#place.deviceBelow();
      this.#become(this.#id === "" ? "lost" : "read-only", error);
    }
    return this.#id === "" ? this.#place.path : this.#id;
  }

  /**
   * Does something with the disk that should not take long. It is waited for in any case: nobody can take back a buffer that
   * the disk may still write to. Whoever comes later does not ask a disk that is so slow.
   */
  async watch<T>(work: () => Promise<T>): Promise<T> {
    const timer = setTimeout(() => {
      if (this.readable) this.#become("resting", new Error(`No answer for ${SLOW_MS / 1000} s`));
    }, SLOW_MS);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
    }
  }

  /** The disk refused something. */
  failed(error: unknown): void {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      this.#lastIdentify = 0;
      return;
    }
    if (READ_ONLY.has((error as NodeJS.ErrnoException).code ?? "")) {
      if (this.#state === "well") this.#become("read-only", error);
      return;
    }
    const now = Date.now();
    this.#failures = [...this.#failures.filter((at) => at > now - FAILURES_MS), now];
    if (this.#failures.length >= FAILURES_MAX && this.readable) this.#become("resting", error);
  }

  /** To be called every second: looks after the folder. */
  async look(): Promise<void> {
    const now = Date.now();
    if (this.#state === "lost" || now - this.#lastIdentify > IDENTIFY_EVERY_MS) {
      this.#lastIdentify = now;
      await this.#identify();
    }
    const unwell = this.#state === "resting" || this.#state === "read-only";
    if (!unwell || now - this.#lastProbe < PROBE_EVERY_MS) return;
    this.#lastProbe = now;
    try {
      await this.watch(() => this.#probe());
      this.#probes++;
    } catch {
      this.#probes = 0;
    }
    const enough = this.#state === "read-only" ? 1 : PROBES_WELL;
    if (this.#probes >= enough) this.#become("well");
  }

  async #identify(): Promise<void> {
    const id = await this.#place.identity();
    if (id === this.#id && id !== "") {
      if (this.#state === "lost") this.#become("well");
      return;
    }
    // Emptied by somebody, on the same disk: it is begun anew. Gone with its disk: the disk below is not taken for it.
    const device = await this.#place.deviceBelow();
    if (device === this.#device) {
      await this.#beginAgain();
    } else if (this.#state !== "lost") {
      this.#become("lost");
    }
  }

  async #beginAgain(): Promise<void> {
    try {
      const { id, device } = await this.#place.identify();
      this.#events.lost();
      this.#id = id;
      this.#device = device;
      if (this.#state === "lost") this.#become("well");
    } catch (error) {
      if (this.#state !== "lost") this.#become("lost", error);
    }
  }

  async #probe(): Promise<void> {
    const path = join(this.#place.raw, "probe", PROBE);
    await this.#place.write(path, [Buffer.from("abc")]);
    const read = await readFile(path);
    await unlink(path);
    if (read.toString("latin1", 0, 3) !== "abc") throw new Error("It gives back other bytes");
  }

  #become(state: FolderState, error?: unknown): void {
    const before = this.#state;
    this.#state = state;
    this.#failures = [];
    this.#probes = 0;
    const folder = this.#place.path;
    if (state === "well") log.info({ folder }, "the cache folder is well again");
    else log.warn({ folder, error }, `the cache folder is ${state}: blocks are not cached there`);
    if (state === "lost") this.#events.lost();
    if (before === "lost") this.#events.back();
  }
}
