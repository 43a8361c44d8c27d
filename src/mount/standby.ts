import { statSync } from "node:fs";
import { log } from "../base/log.ts";
import { ServerHandle } from "./server-handle.ts";

/**
 * A serving process that is loaded and waits to succeed the one that serves: loading is more than half of the pause that a death
 * makes. It takes some 40 MiB, so only mounts have one whose processes died lately: what killed one may well kill the next.
 */

/** The one that serves has answered by then whatever waited for it. */
const SETTLED_MS = 200;
const LATELY_MS = 3600_000;

export class Standby {
  #waiting: { readonly server: ServerHandle; readonly program: string } | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** A process of the mount died lately, and it is served again. `device`: the descriptor of /dev/fuse. */
  keep(device: number, program: string): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#start(device, program);
    }, SETTLED_MS).unref();
  }

  /** The one that waits, or one that begins now; it is the caller's. */
  take(device: number, program: string): ServerHandle {
    clearTimeout(this.#timer);
    const waiting = this.#waiting;
    if (waiting?.program !== identify(program)) {
      this.drop();
      return ServerHandle.start(device, program);
    }
    this.#waiting = undefined;
    return waiting.server;
  }

  drop(): void {
    clearTimeout(this.#timer);
    void this.#waiting?.server.send({ kind: "leave" });
    this.#waiting = undefined;
  }

  #start(device: number, program: string): void {
    if (this.#waiting?.program !== identify(program)) {
      this.drop();
      this.#prepare(ServerHandle.start(device, program), identify(program));
    }
    this.#timer = setTimeout(() => {
      this.drop();
    }, LATELY_MS).unref();
  }

  #prepare(server: ServerHandle, program: string): void {
    this.#waiting = { server, program };
    void server.death().then(({ how }) => {
      if (this.#waiting?.server !== server) return;
      this.#waiting = undefined;
      log.warn({ how }, "the process that waits to succeed the serving one ended");
    });
  }
}

/** Changes when another version is put in its place, which would find modules of its own there. */
function identify(program: string): string {
  const found = statSync(program, { throwIfNoEntry: false });
  return `${program} ${found?.ino} ${found?.mtimeMs}`;
}
