import { closeSync, mkdirSync, openSync, readdirSync, renameSync, statSync } from "node:fs";
import { copyFile, stat, truncate } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pLimit from "p-limit";
import { log } from "../base/log.ts";
import {
  bindMount,
  makePoint,
  mountsBelow,
  preparePoints,
  showsPoints,
  probeMount,
  removeFolder,
  removePoint,
  removePoints,
  topMount,
  unbindAll,
  type PointsFolders,
  type Probe,
} from "../mount/bind.ts";
import { askMount, type MountStatus } from "../mount/control.ts";
import type { MountConfig } from "../mount/messages.ts";
import { startMount } from "../mount/start.ts";
import { unmountVolume } from "../mount/unmount.ts";
import { upgradeMount } from "../mount/upgrade.ts";
import type { Settings } from "./settings.ts";

/**
 * How volumes are mounted: each time at a new private place, its *generation*, served by processes of its own, and bound to
 * the volume's point. A point whose generation died is bound over by the next one, and never looked at: that fails, or hangs.
 */

const ASK_MS = 1000;
const ENDING_EVERY_MS = 50;
const LOG_BYTES_MAX = 10 << 20;

/** A mounted generation. */
export interface Generation {
  readonly number: number;
  readonly path: string;
  readonly device: string;
}

/** What is known of a generation after looking at it. */
export interface Seen extends Probe {
  /** Absent where its supervisor did not answer in time. */
  readonly status?: MountStatus;
}

export class Mounter {
  readonly #folders: PointsFolders;
  readonly #logs: string;
  readonly #stages: string;
  readonly #managed: boolean;
  #prepared = false;
  readonly #ending = new Set<string>();
  /** Two processes start for each mount: more at once would make all of them late. */
  readonly #limit = pLimit(Math.max(4, 2 * availableParallelism()));

  constructor(settings: Pick<Settings, "volumes" | "run" | "managed">, logs: string) {
    this.#managed = settings.managed;
    this.#folders = { points: settings.volumes, private: settings.run };
    this.#stages = join(settings.run, "stage");
    this.#logs = logs;
  }

  /** Where containers find a volume of that name. */
  target(name: string): string {
    return join(this.#folders.points, name);
  }

  /** @throws Error when nothing that is mounted here can be seen by the engine */
  async prepare(): Promise<void> {
    if (this.cutOff) {
      throw new Error(
        "Cannot mount: the engine took away the folder of the mounts, and the plugin is being started again; try again",
      );
    }
    await preparePoints(this.#folders);
    this.#prepared = true;
  }

  /**
   * True when an engine has taken the folder of the mounts away. Cleaning up after the plugin's container before, it may take
   * away what the present one has mounted; from then on it sees nothing of what is mounted here.
   */
  get cutOff(): boolean {
    return this.#managed && this.#prepared && !showsPoints(this.#folders);
  }

  /** The number from `least` on for a new generation: not of one that still stores what was written to a removed volume of that name. */
  freeNumber(name: string, least: number): number {
    return this.#ending.has(this.#stage(name, least)) ? this.freeNumber(name, least + 1) : least;
  }

  /** Mounts a generation and binds it, over whatever is bound there. @throws Error in one sentence, with nothing left behind */
  async mount(
    name: string,
    number: number,
    config: Omit<MountConfig, "mountpoint">,
    signal: AbortSignal,
  ): Promise<Generation> {
    return this.#limit(async () => {
      signal.throwIfAborted();
      await this.prepare();
      const path = this.#stage(name, number);
      mkdirSync(path, { recursive: true, mode: 0o700 });
      try {
        await startMount({ ...config, mountpoint: path }, { logFile: this.#logFile(name), signal });
        const generation = { number, path, device: topMount(path)?.device ?? "" };
        await this.bind(name, generation);
        return generation;
      } catch (error) {
        await this.#end(path);
        throw error;
      }
    });
  }

  /** @throws Error when the volume's point does not show that generation afterwards */
  async bind(name: string, { path, device }: Pick<Generation, "path" | "device">): Promise<void> {
    await this.prepare();
    await bindMount(path, makePoint(this.#folders, name));
    if (!this.isBound(name, device)) {
      throw new Error(`Cannot mount volume "${name}": ${this.target(name)} does not show it`);
    }
  }

  /** True when the volume's point shows the file system of that device, told without touching it. */
  isBound(name: string, device: string): boolean {
    const top = topMount(this.target(name));
    return top?.type === "fuse.juicefs" && top.device === device;
  }

  /** Whether a generation is served; never waits long. */
  async look(path: string): Promise<Seen> {
    try {
      const status = await askMount(path, { ask: "status" }, { limitMs: ASK_MS });
      return status === undefined ? await probeMount(path) : { dead: false, status };
    } catch {
      // It is there and slow.
      return { dead: false };
    }
  }

  async usage(path: string): Promise<Probe> {
    return probeMount(path);
  }

  /** Finds what an earlier driver left mounted: at most one generation stays, bound, and served by this version if it can be. */
  async adopt(name: string): Promise<Generation | undefined> {
    const found: Generation[] = mountsBelow(join(this.#stages, name)).map(({ target, device }) => ({
      ...{ number: Number(basename(target)), path: target, device },
    }));
    found.sort((one, other) => other.number - one.number);
    let kept: Generation | undefined;
    for (const generation of found) {
      const seen = kept === undefined ? await this.look(generation.path) : { dead: true };
      if (seen.dead) await this.#end(generation.path);
      else kept = generation;
    }
    if (kept === undefined) return undefined;
    if (!this.isBound(name, kept.device)) await this.bind(name, kept);
    await upgradeMount(kept.path).catch((error: unknown) => {
      log.error({ volume: name, error }, "the mount stays with the version that serves it");
    });
    return kept;
  }

  /**
   * Takes the volume away from its point and unmounts every generation. Who still uses one keeps it; its processes end when
   * everything is stored and nobody uses it any more. They are never killed.
   */
  async release(name: string): Promise<void> {
    await unbindAll(this.target(name));
    for (const { target } of mountsBelow(join(this.#stages, name))) await this.#end(target);
    removeFolder(join(this.#stages, name));
  }

  /** Leaves nothing mounted, when every volume was released. */
  async takeDown(): Promise<void> {
    await removePoints(this.#folders);
  }

  /** Removes the volume's point. */
  forget(name: string): void {
    removePoint(this.#folders, name);
  }

  /** The names of volumes that something is mounted for. */
  mountedNames(): Set<string> {
    const stages = mountsBelow(this.#stages).map(({ target }) => target.slice(this.#stages.length));
    // What others mounted there is theirs.
    const ours = mountsBelow(this.#folders.points).filter(({ target, type }) => {
      return type === "fuse.juicefs" && dirname(target) === this.#folders.points;
    });
    const points = ours.map(({ target }) => `/${basename(target)}`);
    return new Set([...stages, ...points].map((path) => path.split("/")[1] ?? ""));
  }

  /** Removes the folders of generations that are gone. */
  sweep(): void {
    for (const name of foldersIn(this.#stages)) {
      for (const number of foldersIn(join(this.#stages, name))) {
        removeFolder(join(this.#stages, name, number));
      }
      removeFolder(join(this.#stages, name));
    }
  }

  /** Stores what was written to a generation; not for ever. */
  async flush(path: string, limitMs: number): Promise<void> {
    await askMount(path, { ask: "flush" }, { limitMs }).catch((error: unknown) => {
      log.error({ path, error }, "what was written cannot be stored");
    });
  }

  /** Settles when the processes of what was released have ended; not for ever. */
  async allEnded(limitMs: number): Promise<void> {
    const end = Date.now() + limitMs;
    while (this.#ending.size > 0 && Date.now() < end) await sleep(20);
  }

  #stage(name: string, number: number): string {
    return join(this.#stages, name, String(number));
  }

  /** They store what is left first, which may take long. */
  async #untilEnded(path: string): Promise<void> {
    this.#ending.add(path);
    const ask = (): Promise<unknown> => askMount(path, { ask: "status" }, { limitMs: ASK_MS });
    while ((await ask().catch(() => "slow")) !== undefined) {
      await sleep(ENDING_EVERY_MS, undefined, { ref: false });
    }
    this.#ending.delete(path);
  }

  async #end(path: string): Promise<void> {
    for (const lazy of [false, true]) {
      if (topMount(path) === undefined) break;
      await unmountVolume(path, { lazy, wait: false }).catch((error: unknown) => {
        if (lazy) log.error({ path, error }, "cannot unmount");
      });
    }
    removeFolder(path);
    void this.#untilEnded(path);
  }

  /** Keeps the log of what is mounted from filling the disk; its processes hold the file, so that it stays the same one. */
  async boundLog(name: string): Promise<void> {
    const path = this.#logOf(name);
    try {
      if ((await stat(path)).size <= LOG_BYTES_MAX) return;
      await copyFile(path, `${path}.1`).catch((error: unknown) => {
        log.warn({ path, error }, "the log of the mount cannot be kept");
      });
      await truncate(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      log.warn({ path, error }, "the log of the mount cannot be cut");
    }
  }

  #logOf(name: string): string {
    return join(this.#logs, `${name}.log`);
  }

  /** Undefined where no file can be written: a full disk keeps nobody from mounting. */
  #logFile(name: string): string | undefined {
    const path = this.#logOf(name);
    try {
      mkdirSync(this.#logs, { recursive: true, mode: 0o700 });
      closeSync(openSync(path, "a", 0o640));
      if (statSync(path).size > LOG_BYTES_MAX) renameSync(path, `${path}.1`);
      return path;
    } catch (error) {
      log.warn({ path, error }, "the log of the mount cannot be written");
      return undefined;
    }
  }
}

function foldersIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** What the processes of a mount tell of themselves, as a volume's status shows it. */
export function ofProcesses(status: MountStatus | undefined): Record<string, unknown> {
  if (status === undefined) return { restarts: 0 };
  const { restarts, staged, notices, lastDeath, version, since } = status;
  return {
    restarts,
    ...(staged === undefined ? {} : { staged }),
    ...(notices === undefined ? {} : { notices }),
    ...(lastDeath === undefined ? {} : { lastDeath }),
    ...{ version, since },
  };
}
