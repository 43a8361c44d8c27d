import { setTimeout as sleep } from "node:timers/promises";
import { log } from "../base/log.ts";
import type { FormatDone } from "../volume/job.ts";
import { destroyInChild, formatInChild } from "./jobs.ts";
import { Lock } from "./lock.ts";
import { ofProcesses, type Generation, type Mounter, type Seen } from "./mounter.ts";
import type { Origin } from "./origin.ts";
import { madeTooLate, until, worthRetrying } from "./patience.ts";
import { References } from "./references.ts";
import { scrub, type Secrets } from "./secrets.ts";

/**
 * One volume: who uses it, and the mount that serves them. The first user mounts it, everybody who comes meanwhile waits for
 * that same try; the last one that leaves starts a period of grace, because engines mount, unmount and mount again within
 * milliseconds. While anybody uses it, it is mounted again whenever it dies, without end.
 */

/** One try. A try that hangs is given up, and what it started ends. */
const TRY_MS = 20_000;
/** How long a user waits, over several tries; dockerd and its command line wait a little longer. */
const USE_MS = 24_000;
/** How long stores have to answer before they count as mute. */
const MAKE_MS = 12_000;
/** How long processes of a mount may take to store what is left before its data is destroyed. */
const ENDED_MS = 8000;
const PAUSE_MS = { least: 500, most: 5000 };
const USAGE_EVERY_MS = 60_000;
const HIDDEN = ": volumes mounted inside are hidden until their containers restart";

/** What outlives the driver. */
export interface VolumeRecord {
  readonly createdAt: string;
  /** Options as they were given, without secrets. */
  readonly given: Readonly<Record<string, string>>;
  readonly sealed: string;
  /** Where the metadata lies, as it may be shown. */
  readonly metadata: string;
  /** Of the driver's own Redis. */
  readonly database: number | undefined;
  /** The file system, once it was made or found. */
  made: Omit<FormatDone, "made"> | undefined;
  /** The number of the newest generation. */
  generation: number;
  references: References;
}

export interface VolumeSurroundings {
  readonly mounter: Mounter;
  readonly graceMs: number;
  /** Where it lies, with what is needed there running. @throws Error in one sentence */
  readonly originOf: (name: string, record: VolumeRecord) => Promise<Origin>;
  /** Keeps every record; what fails is told and logged there. */
  readonly save: () => Promise<void>;
}

export class Volume {
  readonly name: string;
  readonly record: VolumeRecord;
  readonly #around: VolumeSurroundings;
  readonly #lock = new Lock();
  #mounted: Generation | undefined;
  #seen: Seen | undefined;
  #usage: { usedBytes?: number; totalBytes?: number } = {};
  #usageAt = 0;
  #try: Promise<void> | undefined;
  #healing = false;
  #closed = false;
  #releasing = false;
  #waiting = 0;
  /** Since when everybody who holds the mount is a user that an engine knows. */
  #accountedSince = Infinity;
  #grace: NodeJS.Timeout | undefined;
  #lastError: string | undefined;
  /** When it was last mounted anew under those who use it. */
  #healed = "";

  constructor(name: string, record: VolumeRecord, around: VolumeSurroundings) {
    this.name = name;
    this.record = record;
    this.#around = around;
  }

  get target(): string {
    return this.#around.mounter.target(this.name);
  }

  /**
   * Makes the file system, where there is none yet.
   *
   * @throws Error in one sentence without secrets
   */
  async make(signal: AbortSignal): Promise<void> {
    if (this.record.made !== undefined) return;
    await this.#withoutSecrets(async ({ job }) => {
      const making = until(signal, formatInChild(job, { signal, limitMs: MAKE_MS }));
      const { made, ...volume } = await making.catch((error: unknown) => {
        if (!signal.aborted && !(error instanceof DOMException)) throw error;
        throw madeTooLate(this, signal);
      });
      this.record.made = volume;
      if (made) log.info({ volume: this.name, fileSystem: volume.name }, "made a file system");
    });
  }

  /**
   * Mounts it for a user.
   *
   * @returns where
   * @throws Error in one sentence, with no reference left behind
   */
  async use(id: string, signal: AbortSignal): Promise<string> {
    this.#endGrace();
    this.#waiting++;
    try {
      await this.#untilMounted(signal);
      signal.throwIfAborted();
      if (this.#closed) throw new Error(`Cannot mount volume "${this.name}": it is being removed`);
      this.record.references.add(id);
    } finally {
      this.#waiting--;
      this.#startGrace();
    }
    await this.#around.save();
    return this.target;
  }

  async leave(id: string): Promise<void> {
    if (!this.record.references.remove(id)) return;
    this.#startGrace();
    await this.#around.save();
  }

  /** Takes up what an earlier driver left, and mounts what is in use. Settles when the first try has ended. */
  async restore(): Promise<void> {
    await this.#lock.run(async () => {
      this.#mounted ??= await this.#around.mounter.adopt(this.name);
    });
    if (this.#mounted !== undefined) {
      log.info({ volume: this.name, generation: this.#mounted.number }, "taken over as it was");
      this.record.generation = Math.max(this.record.generation, this.#mounted.number);
      this.#startGrace();
    } else if (this.record.references.empty) {
      await this.#lock.run(() => this.#release());
    } else {
      void this.#heal();
      await this.#try?.catch(() => undefined);
    }
  }

  /** Looks whether its mount is served, and does what is needed where it is not. */
  async look(): Promise<void> {
    const [generation, { mounter }] = [this.#mounted, this.#around];
    if (generation === undefined || this.#try !== undefined) return;
    const seen = await mounter.look(generation.path);
    if (this.#mounted !== generation) return;
    this.#seen = seen;
    if (seen.dead) {
      this.#died(generation);
    } else if (!mounter.isBound(this.name, generation.device)) {
      log.warn({ volume: this.name }, "somebody took the mount away, binding it again");
      await this.#lock.run(() => mounter.bind(this.name, generation));
    } else if (Date.now() - this.#usageAt > USAGE_EVERY_MS) {
      this.#usageAt = Date.now();
      this.#usage = await mounter.usage(generation.path);
      await mounter.boundLog(this.name);
    }
  }

  /**
   * Drops users that no engine knows any more: whoever holds the mount is one of the others, and that for a while, since a
   * user that is just starting holds nothing yet.
   */
  dropStale(holders: (device: string) => number): boolean {
    const { references } = this.record;
    const device = references.anyStale ? this.#mounted?.device : undefined;
    if (device === undefined || holders(device) > references.fresh) {
      this.#accountedSince = Infinity;
      return false;
    }
    this.#accountedSince = Math.min(this.#accountedSince, Date.now());
    if (Date.now() - this.#accountedSince < this.#around.graceMs) return false;
    references.dropStale();
    this.#startGrace();
    return true;
  }

  /**
   * Unmounts it, whoever uses it, and forgets its users; with `destroy`, its data goes too.
   *
   * @throws Error in one sentence; it can be used as before then
   */
  async remove({ destroy, signal }: { destroy: boolean; signal: AbortSignal }): Promise<void> {
    try {
      await this.close();
      if (destroy) await this.#destroy(signal);
      this.#around.mounter.forget(this.name);
      this.record.references.clear();
    } catch (error) {
      this.#closed = false;
      throw error;
    }
  }

  /** Stores what was written and unmounts it. Its users stay known; who holds it keeps it for now. */
  async close({ flushMs = 0 } = {}): Promise<void> {
    this.#closed = true;
    this.#endGrace();
    await this.#try?.catch(() => undefined);
    await this.#lock.run(async () => {
      const generation = this.#mounted;
      if (generation !== undefined && flushMs > 0) {
        await this.#around.mounter.flush(generation.path, flushMs);
      }
      await this.#release();
    });
  }

  /** Ends what would keep the program from ending. The mount stays. */
  leaveBehind(): void {
    this.#closed = true;
    this.#endGrace();
  }

  status(): Record<string, unknown> {
    const { record } = this;
    const { dead: _, status } = this.#seen ?? {};
    return {
      ...{ state: this.#state(), options: record.given, metadata: record.metadata },
      references: record.references.ids.length,
      ...{ generation: record.generation, hostPath: this.target },
      ...ofProcesses(status),
      ...(this.#healed === "" ? {} : { healed: this.#healed + HIDDEN }),
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
      ...(this.#usage.usedBytes === undefined ? {} : { usedBytes: this.#usage.usedBytes }),
      ...(record.made === undefined ? {} : { fileSystem: record.made }),
    };
  }

  #state(): string {
    if (this.#mounted !== undefined) return this.#seen?.status?.state ?? "serving";
    if (this.#try !== undefined || this.#healing) return this.#healing ? "healing" : "mounting";
    if (this.#releasing) return "unmounting";
    return this.#lastError === undefined ? "idle" : "failed";
  }

  async #untilMounted(signal: AbortSignal): Promise<void> {
    const end = Date.now() + USE_MS;
    let pauseMs = PAUSE_MS.least;
    for (;;) {
      try {
        await until(signal, this.#mount());
        return;
      } catch (error) {
        if (signal.aborted) throw this.#tooLate();
        if (Date.now() + pauseMs > end || !worthRetrying(error)) throw error;
      }
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) throw this.#tooLate();
      pauseMs = Math.min(2 * pauseMs, PAUSE_MS.most);
    }
  }

  #tooLate(): Error {
    const because = this.#lastError === undefined ? "" : `: ${this.#lastError}`;
    return new Error(`Cannot mount volume "${this.name}" in time${because}`);
  }

  /** One try for everybody who wants it now. */
  async #mount(): Promise<void> {
    this.#try ??= this.#lock
      .run(() => this.#mountOnce())
      .finally(() => {
        this.#try = undefined;
        this.#startGrace();
      });
    await this.#try;
  }

  async #mountOnce(): Promise<void> {
    const { mounter } = this.#around;
    const generation = this.#mounted;
    if (this.#closed) throw new Error(`Cannot mount volume "${this.name}": it is being removed`);
    if (generation !== undefined) {
      this.#seen = await mounter.look(generation.path);
      if (!this.#seen.dead) {
        if (!mounter.isBound(this.name, generation.device))
          await mounter.bind(this.name, generation);
        return;
      }
      this.#mounted = undefined;
    }
    const signal = AbortSignal.timeout(TRY_MS);
    await this.#withoutSecrets(async ({ mount }) => {
      await this.make(signal);
      this.record.generation = mounter.freeNumber(this.name, this.record.generation + 1);
      this.#mounted = await mounter.mount(this.name, this.record.generation, mount, signal);
      this.#seen = undefined;
      this.#usageAt = 0;
    });
    log.info({ volume: this.name, generation: this.record.generation }, "mounted");
    await this.#around.save();
  }

  /** Does what needs secrets; they are in no error that comes out of it. */
  async #withoutSecrets(work: (origin: Origin) => Promise<void>): Promise<void> {
    let secrets: Secrets = {};
    const working = async (): Promise<void> => {
      const origin = await this.#around.originOf(this.name, this.record);
      secrets = origin.secrets;
      await work(origin);
    };
    await working().catch((error: unknown) => {
      this.#lastError = scrub(error instanceof Error ? error.message : String(error), secrets);
      throw new Error(this.#lastError);
    });
    this.#lastError = undefined;
  }

  async #destroy(signal: AbortSignal): Promise<void> {
    const { made } = this.record;
    if (made === undefined) return;
    await this.#around.mounter.allEnded(ENDED_MS);
    await this.#withoutSecrets(async ({ mount }) => {
      const job = { job: "destroy", metaUrl: mount.metaUrl, uuid: made.uuid } as const;
      const { objects } = await destroyInChild(job, signal).catch((error: unknown) => {
        if (!signal.aborted) throw error;
        throw new Error(
          `Cannot remove volume "${this.name}" in time: its objects are still being deleted; try again to go on`,
        );
      });
      log.info({ volume: this.name, objects }, "destroyed");
    });
  }

  #died(generation: Generation): void {
    log.error({ volume: this.name, generation: generation.number }, "the mount died");
    this.#mounted = undefined;
    void (this.record.references.empty ? this.rescue() : this.#heal());
  }

  /** Mounts it for a moment: that stores what a mount that died had not stored. */
  async rescue(): Promise<void> {
    await this.#mount().catch((error: unknown) => {
      log.error({ volume: this.name, error }, "what was written last waits to be stored");
    });
    await this.#endIdle();
  }

  /** Mounts it again and again until it is mounted or nobody uses it. */
  async #heal(): Promise<void> {
    if (this.#healing) return;
    this.#healing = true;
    let pauseMs = PAUSE_MS.least;
    while (!this.#closed && !this.record.references.empty) {
      try {
        await this.#mount();
        this.#healed = new Date().toISOString();
        break;
      } catch (error) {
        log.error({ volume: this.name, error, pauseMs }, "cannot mount a volume that is in use");
        await sleep(pauseMs, undefined, { ref: false });
        pauseMs = Math.min(2 * pauseMs, PAUSE_MS.most);
      }
    }
    this.#healing = false;
  }

  async #release(): Promise<void> {
    [this.#mounted, this.#healed, this.#releasing] = [undefined, "", true];
    try {
      await this.#around.mounter.release(this.name);
    } finally {
      this.#releasing = false;
    }
  }

  #startGrace(): void {
    if (this.#mounted === undefined || !this.#idle()) return;
    this.#endGrace();
    this.#grace = setTimeout(() => void this.#endIdle(), this.#around.graceMs).unref();
  }

  #idle(): boolean {
    return this.record.references.empty && this.#waiting === 0 && !this.#closed;
  }

  async #endIdle(): Promise<void> {
    await this.#lock.run(async () => {
      if (!this.#idle()) return;
      await this.#release();
      log.info({ volume: this.name }, "unmounted");
    });
  }

  #endGrace(): void {
    clearTimeout(this.#grace);
    this.#grace = undefined;
  }
}
