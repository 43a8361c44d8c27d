import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { syncFolder, syncNameOf } from "../base/folder-sync.ts";
import { log } from "../base/log.ts";
import { cutTail } from "./redis-log.ts";

/**
 * The Redis of volumes that were created without a metaurl: a process of its own behind a Unix socket, which outlives the
 * driver and is taken over by the next one. What it acknowledges is on disk: it syncs its append-only file before it
 * answers, once for all changes that wait.
 */

/** A database a volume; an empty one costs 500 bytes of memory. */
export const DATABASES = 16_384;
const START_MS = 15_000;
/** One that an earlier driver started tells nobody here that it ends. */
const LOOK_MS = 500;
const ASK_MS = 1000;
const STOP_MS = 8000;

export class EmbeddedRedis {
  readonly #folder: string;
  readonly #logFile: string;
  #starting: Promise<void> | undefined;
  #watch: NodeJS.Timeout | undefined;

  constructor(folders: { state: string; logs: string }) {
    this.#folder = join(folders.state, "redis");
    this.#logFile = join(folders.logs, "redis.log");
  }

  url(database: number): string {
    return `unix://${pathToFileURL(this.#socket).pathname}?db=${database}`;
  }

  /** Settles when it answers. From then on it is started again whenever it does not. @throws Error in one sentence */
  async start(): Promise<void> {
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    await this.#starting;
  }

  /** Ends it with everything on disk. */
  async stop(): Promise<void> {
    this.leave();
    await ask(this.#socket, "SHUTDOWN NOSAVE").catch(() => undefined);
    const end = Date.now() + STOP_MS;
    while (Date.now() < end && this.#running()) await sleep(20);
  }

  /** Leaves it to the next driver. */
  leave(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  get #pidFile(): string {
    return join(this.#folder, "redis.pid");
  }

  get #socket(): string {
    return join(this.#folder, "redis.sock");
  }

  async #start(): Promise<void> {
    let ended = await this.#begin(Date.now() + START_MS);
    const tail = ended === undefined ? undefined : await cutTail(this.#folder);
    if (tail !== undefined) {
      log.error(
        tail,
        "the end of what the driver's own Redis wrote cannot be read, it is put aside",
      );
      ended = await this.#begin(Date.now() + START_MS);
    }
    if (ended !== undefined) {
      throw new Error(
        `Cannot start the driver's own Redis: it ended with ${ended}; ${this.#logFile} tells why`,
      );
    }
    // The server syncs what is in its folders, not that the folders are there.
    await syncFolder(this.#folder);
    await syncNameOf(this.#folder);
    this.#watch ??= setInterval(() => {
      void this.#look();
    }, LOOK_MS).unref();
  }

  /** @returns how it ended instead of getting ready */
  async #begin(end: number): Promise<string | undefined> {
    let ended: string | undefined;
    if (!this.#running()) {
      this.#spawn((how) => {
        ended = how;
      });
    }
    // A server that still reads its file answers with an error.
    while ((await ask(this.#socket, "PING").catch(() => "")) !== "+PONG") {
      if (ended !== undefined) return ended;
      if (Date.now() > end) {
        throw new Error(`Cannot use the driver's own Redis: it is not ready after ${START_MS} ms`);
      }
      await sleep(20);
    }
    return undefined;
  }

  async #look(): Promise<void> {
    if (this.#starting !== undefined || this.#running()) return;
    log.error("the driver's own Redis is gone, starting it again");
    await this.start().catch((error: unknown) => {
      log.error({ error }, "the driver's own Redis does not start");
    });
  }

  /** Told by its process, not by an answer: two servers must never write one file, however slow the first one is. */
  #running(): boolean {
    try {
      const pid = readFileSync(this.#pidFile, "utf8").trim();
      const program = readFileSync(`/proc/${pid}/comm`, "utf8").trim();
      const folder = readlinkSync(`/proc/${pid}/cwd`);
      return program === "redis-server" && folder === realpathSync(this.#folder);
    } catch {
      return false;
    }
  }

  #spawn(ended: (how: string) => void): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const output = openSync(this.#logFile, "a", 0o640);
    const child = spawn("redis-server", this.#arguments(), {
      ...{ stdio: ["ignore", output, output], detached: true, cwd: this.#folder },
    });
    closeSync(output);
    child.on("error", (error: NodeJS.ErrnoException) => {
      ended(error.code === "ENOENT" ? "no such program; install redis-server" : error.message);
    });
    child.on("exit", (code, signal) => {
      ended(signal ?? `status ${code}`);
      if (this.#watch !== undefined) void this.#look();
    });
    child.unref();
  }

  #arguments(): string[] {
    const settings = {
      ...{ port: "0", unixsocket: this.#socket, unixsocketperm: "700", dir: this.#folder },
      pidfile: this.#pidFile,
      ...{ databases: String(DATABASES), save: "", appendonly: "yes", appendfsync: "always" },
      // Nobody asks this server from outside, and what it holds must never be thrown out.
      ...{ "maxmemory-policy": "noeviction", daemonize: "no", "always-show-logo": "no" },
    };
    return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  }
}

/** The first line that a Redis answers to an inline command. */
async function ask(path: string, command: string): Promise<string> {
  const socket = connect(path);
  socket.setTimeout(ASK_MS, () => {
    socket.destroy(new Error("It does not answer"));
  });
  return new Promise((resolve, reject) => {
    let said = "";
    socket.on("connect", () => {
      socket.write(`${command}\r\n`);
    });
    socket.on("data", (chunk) => {
      said += chunk.toString();
      if (!said.includes("\r\n")) return;
      resolve(said.slice(0, said.indexOf("\r\n")));
      socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () => {
      reject(new Error("It closed the connection"));
    });
  });
}
