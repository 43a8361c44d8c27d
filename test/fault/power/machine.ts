import { execFile } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { EmbeddedRedis } from "../../../src/driver/embedded-redis.ts";
import { mountFolder } from "../../../src/mount/control.ts";
import { askTestMount, juicefs, mountVolume, type TestMount } from "../../support/mount.ts";
import { startProgram, until, type RunningProgram } from "../../support/process.ts";
import { Random } from "../../support/random.ts";
import { Expected } from "./expected.ts";
import { makePowerDisk, type PowerDisk } from "./power-disk.ts";
import { stepsOf } from "./steps.ts";

const run = promisify(execFile);
const WORKER = fileURLToPath(new URL("worker.ts", import.meta.url));
const WORKERS = 2;

/** A machine whose one disk holds everything: the driver's own Redis, objects, cache and what is staged there. */
export interface Machine extends AsyncDisposable {
  readonly metaUrl: string;
  /** Starts Redis and mounts the volume, which the first time is made. */
  readonly boot: (mountOptions?: readonly string[]) => Promise<void>;
  /**
   * Applications work until the power goes at some moment. What they do and what is left of what was not synced follow from the
   * seed: nothing is where it is odd.
   */
  readonly workUntilPowerLoss: (seed: number) => Promise<void>;
  /** What is not as it was acknowledged, in a sentence each, of everything that was ever written. */
  readonly wrong: () => Promise<string[]>;
  /** Unmounts when everything is uploaded, and mounts again. */
  readonly upload: () => Promise<void>;
  /** Acknowledged steps so far. */
  readonly steps: () => number;
}

interface Work {
  /** Below the mountpoint. */
  readonly folder: string;
  readonly seed: number;
  readonly program: RunningProgram;
  readonly said: { begun: number; done: number };
  readonly expected: Expected;
}

export async function makeMachine(format: readonly string[]): Promise<Machine> {
  const disk = await makePowerDisk();
  return new OneMachine(disk, format);
}

class OneMachine implements Machine {
  readonly #disk: PowerDisk;
  readonly #format: readonly string[];
  readonly #works: Work[] = [];
  #redis: EmbeddedRedis;
  #mount: TestMount | undefined;
  #boots = 0;
  #steps = 0;

  constructor(disk: PowerDisk, format: readonly string[]) {
    this.#disk = disk;
    this.#format = format;
    this.#redis = this.#newRedis();
  }

  get metaUrl(): string {
    return this.#redis.url(1);
  }

  get #folder(): string {
    return join(this.#disk.outside, `boot${this.#boots}`);
  }

  get #state(): string {
    return join(this.#disk.path, "lib/state");
  }

  async boot(mountOptions: readonly string[] = []): Promise<void> {
    this.#boots++;
    await mkdir(this.#folder);
    this.#redis.leave();
    this.#redis = this.#newRedis();
    await this.#redis.start().catch((error: unknown) => {
      const logged = readFileSync(join(this.#disk.outside, "logs/redis.log"), "utf8");
      throw new Error(`Redis says: ${logged.slice(-2000)}`, { cause: error });
    });
    if (this.#boots === 1) {
      const bucket = ["--bucket", join(this.#disk.path, "lib/objects")];
      await juicefs("format", this.metaUrl, "test-volume", ...bucket, ...this.#format);
    }
    const cache = ["--cache-dir", join(this.#disk.path, "lib/cache"), "--cache-size", "100"];
    const place = { metaUrl: this.metaUrl, folder: this.#folder };
    this.#mount = await mountVolume(place, [...cache, ...mountOptions]);
  }

  async workUntilPowerLoss(seed: number): Promise<void> {
    const { path = "" } = this.#mount ?? {};
    const random = new Random(seed);
    const works: Work[] = [];
    for (let number = 0; number < WORKERS; number++) {
      works.push(startWork(path, `w${seed}-${number}`, seed * WORKERS + number));
    }
    await until("work", () => works.every(({ said }) => said.done > 0));
    await sleep(200 + random.below(500));
    const rewriting = this.#rewriteLog(random.below(2) === 1);
    await sleep(random.below(1000));
    const status = await askTestMount({ path, folder: this.#folder });
    const pids = [status.serverPid, status.supervisorPid, this.#redisPid()];
    for (const { program } of works) pids.push(program.child.pid ?? 0);
    this.#redis.leave();
    for (const { program } of works) {
      if (program.child.exitCode !== null) throw new Error(`It ended: ${program.output()}`);
    }
    await this.#disk.losePower(seed % 2 === 1 ? 0 : seed, async () => {
      for (const signal of ["SIGSTOP", "SIGKILL"] as const) {
        for (const pid of pids) process.kill(pid, signal);
      }
      const shared = join(mountFolder(path, join(this.#folder, "run")), "shared");
      for (const one of [path, shared]) await run("umount", ["-l", one]);
    });
    await rewriting;
    await this.#mount?.unmount();
    this.#mount = undefined;
    for (const work of works) {
      await work.program.stop("SIGKILL");
      this.#steps += work.said.done;
      expect(work);
    }
    this.#works.push(...works);
  }

  async wrong(): Promise<string[]> {
    const wrong: string[] = [];
    for (const { folder, expected } of this.#works) {
      const found = await filesIn(join(this.#mount?.path ?? "", folder));
      wrong.push(...expected.check(found).map((one) => `${folder}/${one}`));
    }
    return wrong;
  }

  async upload(): Promise<void> {
    const { path = "" } = this.#mount ?? {};
    const ask = { ask: "unmount", lazy: false, wait: true, upload: true } as const;
    await askTestMount({ path, folder: this.#folder }, ask);
    await this.#mount?.unmount();
    await this.boot();
  }

  steps(): number {
    return this.#steps;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { program } of this.#works) await program.stop("SIGKILL");
    await this.#mount?.[Symbol.asyncDispose]();
    await this.#redis.stop();
    await this.#disk[Symbol.asyncDispose]();
  }

  #newRedis(): EmbeddedRedis {
    const logs = join(this.#disk.outside, "logs");
    mkdirSync(logs, { recursive: true });
    return new EmbeddedRedis({ state: this.#state, logs });
  }

  #redisPid(): number {
    return Number(readFileSync(join(this.#state, "redis/redis.pid"), "utf8"));
  }

  async #rewriteLog(wanted: boolean): Promise<void> {
    if (!wanted) return;
    const socket = join(this.#state, "redis/redis.sock");
    await run("redis-cli", ["-s", socket, "bgrewriteaof"]).catch(() => undefined);
  }
}

function startWork(mountpoint: string, folder: string, seed: number): Work {
  const said = { begun: 0, done: 0 };
  const program = startProgram(process.execPath, [WORKER, join(mountpoint, folder), String(seed)]);
  program.child.stdout?.on("data", (chunk: Buffer) => {
    for (const byte of chunk) said[byte === 0x62 ? "begun" : "done"]++;
  });
  return { folder, seed, program, said, expected: new Expected() };
}

function expect({ seed, said, expected }: Work): void {
  const steps = stepsOf(seed);
  for (let number = 0; number < said.begun; number++) {
    const { value } = steps.next();
    if (number < said.done) expected.done(value);
    else expected.begun(value);
  }
}

async function filesIn(folder: string): Promise<Map<string, Buffer | Error>> {
  const found = new Map<string, Buffer | Error>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found.set(relative(folder, path), await readFile(path).catch((error: Error) => error));
  }
  return found;
}
