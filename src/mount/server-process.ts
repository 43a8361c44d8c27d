import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { OpenedMessage, ToServer, ToSupervisor } from "./messages.ts";

/** A serving process as its supervisor sees it. */

const PROGRAM = fileURLToPath(new URL("serve.ts", import.meta.url));

export interface ServerEvents {
  readonly told: (message: ToSupervisor) => void;
  /** It is gone; `done`: it had said that everything is stored. */
  readonly exited: (how: { done: boolean; text: string }) => void;
}

export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #opened = Promise.withResolvers<OpenedMessage>();
  readonly #serving = Promise.withResolvers<void>();
  #done = false;

  /** `device`: the descriptor of /dev/fuse. */
  constructor(device: number, events: ServerEvents) {
    this.#child = spawn(process.execPath, [PROGRAM], {
      // Twice: its pipe handle closes its own. A group of its own, so that a terminal's signals pass it by.
      stdio: ["ignore", "inherit", "inherit", device, device, "ipc"],
      detached: true,
    });
    this.#opened.promise.catch(() => undefined);
    this.#serving.promise.catch(() => undefined);
    this.#child.on("message", (message: ToSupervisor) => {
      this.#took(message);
      events.told(message);
    });
    this.#child.on("error", (error) => {
      this.#fail(error);
    });
    this.#child.on("exit", (code, signal) => {
      const text = signal ?? `status ${code}`;
      this.#fail(new Error(`The serving process ended with ${text}`));
      events.exited({ done: this.#done, text });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** What the volume is, once it is open. @throws Error in one sentence why it cannot be opened */
  opened(): Promise<OpenedMessage> {
    return this.#opened.promise;
  }

  serving(): Promise<void> {
    return this.#serving.promise;
  }

  send(message: ToServer): void {
    // Where it is gone its exit tells so.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  async gone(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      await once(this.#child, "exit");
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  #took(message: ToSupervisor): void {
    if (message.kind === "opened") this.#opened.resolve(message);
    else if (message.kind === "serving") this.#serving.resolve();
    else if (message.kind === "failed") this.#fail(new Error(message.message));
    else if (message.kind === "ended") this.#done = true;
  }

  #fail(error: Error): void {
    this.#opened.reject(error);
    this.#serving.reject(error);
  }
}
