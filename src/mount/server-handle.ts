import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { log } from "../base/log.ts";
import { childEnvironment } from "./child-environment.ts";
import { linkTo, type Link } from "./link.ts";
import type { OpenedMessage, ToServer, ToSupervisor } from "./messages.ts";

/** A serving process as its supervisor sees it: what it says, whether it lives, whether it still answers. */

export const SERVE_PROGRAM = fileURLToPath(new URL("serve.ts", import.meta.url));

/**
 * MiB where V8 makes new objects, in each thread: left to itself it takes up to 16, and twice as much beside them. Less room means
 * more collections, which cost 3 to 5 % of a create, for some 40 MiB less.
 */
const YOUNG_OBJECTS = "--max-semi-space-size=4";

const PING_MS = 1000;
const LOOK_MS = 200;
/** Its event loop stood still for so long: it is replaced. A slow store does not hold it up. */
const HUNG_MS = 8000;

/** How a serving process ended. */
export interface Death {
  /** It had said that it is unmounted and everything is stored. */
  readonly done: boolean;
  readonly how: string;
}

export class ServerHandle {
  /** 0 where it could not even be started. */
  readonly pid: number;
  readonly #link: Link<ToServer, ToSupervisor>;
  readonly #opened = Promise.withResolvers<OpenedMessage>();
  readonly #serving = Promise.withResolvers<void>();
  readonly #prepared = Promise.withResolvers<void>();
  #flushed: PromiseWithResolvers<void> | undefined;
  readonly #death = Promise.withResolvers<Death>();
  readonly #timers: readonly NodeJS.Timeout[];
  #heard = performance.now();
  #asked = false;
  #done = false;
  #hung = false;
  #ending = false;

  /** Starts one. `device`: the descriptor of /dev/fuse. */
  static start(device: number, program = SERVE_PROGRAM): ServerHandle {
    const child = spawn(process.execPath, [YOUNG_OBJECTS, program], {
      // Twice: its pipe handle closes its own. A group of its own, so that a terminal's signals pass it by.
      stdio: ["ignore", "inherit", "inherit", device, device, "ipc"],
      env: childEnvironment(),
      detached: true,
    });
    const handle = new ServerHandle(linkTo(child), child.pid ?? 0);
    handle.#watch(child);
    return handle;
  }

  /** The one that started this process, after the supervisor before had died. */
  static parent(pid: number): ServerHandle {
    const handle = new ServerHandle(linkTo<ToServer, ToSupervisor>(process), pid);
    handle.#link.onEnd(() => {
      handle.#died("its channel ended");
    });
    handle.#serving.resolve();
    return handle;
  }

  private constructor(link: Link<ToServer, ToSupervisor>, pid: number) {
    this.pid = pid;
    this.#link = link;
    for (const { promise } of [this.#opened, this.#serving, this.#prepared]) {
      promise.catch(() => undefined);
    }
    link.onMessage((message) => {
      this.#took(message);
    });
    const ping = setInterval(() => {
      this.#ping();
    }, PING_MS);
    const look = setInterval(() => {
      this.#look();
    }, LOOK_MS);
    this.#timers = [ping.unref(), look.unref()];
  }

  /** Told everything it says, besides what the methods below wait for. */
  onMessage(take: (message: ToSupervisor) => void): void {
    this.#link.onMessage(take);
  }

  /** What the volume is, once it is open. @throws Error in one sentence why it cannot be opened */
  opened(): Promise<OpenedMessage> {
    return this.#opened.promise;
  }

  /** @throws Error when it ended before */
  serving(): Promise<void> {
    return this.#serving.promise;
  }

  /** Its program is loaded. @throws Error when it ended before */
  prepared(): Promise<void> {
    return this.#prepared.promise;
  }

  death(): Promise<Death> {
    return this.#death.promise;
  }

  /** Settles when whatever was written so far is stored. @throws Error when that fails */
  async flush(): Promise<void> {
    this.#flushed ??= Promise.withResolvers<void>();
    const { promise } = this.#flushed;
    promise.catch(() => undefined);
    await this.send({ kind: "flush" });
    await promise;
  }

  async send(message: ToServer): Promise<void> {
    await this.#link.send(message);
  }

  kill(): void {
    if (this.pid === 0) return;
    try {
      process.kill(this.pid, "SIGKILL");
    } catch {
      // It is gone already; its channel tells so.
    }
  }

  #watch(child: ChildProcess): void {
    child.once("error", (error) => {
      this.#died(error.message);
    });
    child.once("exit", (code, signal) => {
      this.#died(signal ?? `exit status ${code}`);
    });
  }

  #took(message: ToSupervisor): void {
    this.#heard = performance.now();
    this.#asked = false;
    if (message.kind === "opened") this.#opened.resolve(message);
    else if (message.kind === "serving") this.#serving.resolve();
    else if (message.kind === "prepared") this.#prepared.resolve();
    else if (message.kind === "failed") this.#fail(new Error(message.message));
    else if (message.kind === "ended") this.#done = true;
    else if (message.kind === "flushed") this.#tookFlushed(message.failure);
  }

  #tookFlushed(failure: string | undefined): void {
    if (failure === undefined) this.#flushed?.resolve();
    else this.#flushed?.reject(new Error(failure));
    this.#flushed = undefined;
  }

  #died(text: string): void {
    for (const timer of this.#timers) clearInterval(timer);
    const how = this.#hung ? `${text}, it did not answer for ${HUNG_MS / 1000} s` : text;
    this.#fail(new Error(`The serving process ended: ${how}`));
    this.#death.resolve({ done: this.#done, how });
  }

  #fail(error: Error): void {
    this.#opened.reject(error);
    this.#serving.reject(error);
    this.#prepared.reject(error);
    this.#flushed?.reject(error);
  }

  /** Where a thread of it is still in the kernel, it may wait there for what only a successor can answer. */
  #look(): void {
    const before = this.#ending;
    this.#ending = isEnding(this.pid);
    // What it said last and how it ended is heard in between, where there is anything to hear.
    if (before && this.#ending) this.#died("it was killed");
  }

  /** A supervisor that was itself stopped has heard nothing: it asks first. */
  #ping(): void {
    if (this.#hung) {
      this.#died("it was killed");
      return;
    }
    if (this.#asked && performance.now() - this.#heard > HUNG_MS) {
      log.error({ pid: this.pid }, "the serving process hangs, it is replaced");
      this.#hung = true;
      this.kill();
      return;
    }
    if (!this.#asked) this.#heard = performance.now();
    this.#asked = true;
    void this.#link.send({ kind: "ping" });
  }
}

/**
 * True for a process that executes nothing any more although it is not gone: threads of it may wait in the kernel. Its `stat`
 * would be waited for while it is being started.
 */
function isEnding(pid: number): boolean {
  try {
    return /^State:\t[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return false;
  }
}
