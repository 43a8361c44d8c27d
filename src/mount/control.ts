import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { variable } from "../base/environment.ts";
import type { NoticeStatus, StagedBlocks } from "../volume/open.ts";

/**
 * How the supervisor of a mount is asked something: over a Unix socket in a folder named after the mountpoint. A request
 * and its answer are a line of JSON each; a connection carries one of them.
 */

export type ControlRequest =
  | { readonly ask: "status" }
  /** Stores whatever was written so far; answers when it is stored. */
  | { readonly ask: "flush" }
  /** Hands the mount over to another serving program; answers when that serves. */
  | { readonly ask: "replace"; readonly program: string }
  /**
   * Unmounts; `lazy`: also while somebody uses it; `upload`: what is staged is uploaded whatever the hour. Answers when it is
   * unmounted, with `wait` when everything is stored.
   */
  | {
      readonly ask: "unmount";
      readonly lazy: boolean;
      readonly wait: boolean;
      readonly upload?: boolean;
    };

/** A mount as its supervisor sees it. */
export interface MountStatus {
  /** Its name. */
  readonly volume: string;
  readonly uuid?: string | undefined;
  readonly mountpoint: string;
  readonly version: string;
  readonly sid: string;
  readonly state: "serving" | "restarting" | "unmounted";
  readonly supervisorPid: number;
  readonly serverPid: number;
  /** RFC 3339. */
  readonly since: string;
  /** How often the serving process died. */
  readonly restarts: number;
  /** How it ended last. */
  readonly lastDeath?: string | undefined;
  /** What lies on this machine's disks only, with write-back. */
  readonly staged?: StagedBlocks | undefined;
  /** Up to a second old. */
  readonly notices?: NoticeStatus | undefined;
}

export type ControlAnswer = { readonly done: MountStatus } | { readonly failed: string };

const LINE_MAX = 64 << 10;

/** In the folder of a mount: where its supervisor listens, and where its serving process does. */
export const CONTROL_SOCKET = "control";
export const JOBS_SOCKET = "jobs";

/** Where mounts keep their folders; `JUICEFS_RUN` names another place. */
export function runFolder(): string {
  return variable("JUICEFS_RUN") ?? "/run/juicefs";
}

/** Where a mount keeps its socket and what its processes share. */
export function mountFolder(mountpoint: string, run = runFolder()): string {
  return join(run, createHash("sha256").update(mountpoint).digest("hex").slice(0, 16));
}

function socketPath(mountpoint: string, run?: string): string {
  return join(mountFolder(mountpoint, run), CONTROL_SOCKET);
}

/** Answers requests until it is closed. */
export async function listenControl(
  mountpoint: string,
  answer: (request: ControlRequest) => Promise<MountStatus>,
): Promise<Server> {
  mkdirSync(mountFolder(mountpoint), { recursive: true, mode: 0o700 });
  const path = socketPath(mountpoint);
  rmSync(path, { force: true });
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    void answerOne(socket, answer);
  });
  server.listen(path);
  await once(server, "listening");
  return server;
}

async function answerOne(
  socket: Socket,
  answer: (request: ControlRequest) => Promise<MountStatus>,
): Promise<void> {
  let reply: ControlAnswer;
  try {
    reply = { done: await answer(JSON.parse(await readLine(socket)) as ControlRequest) };
  } catch (error) {
    reply = { failed: error instanceof Error ? error.message : String(error) };
  }
  socket.end(`${JSON.stringify(reply)}\n`);
}

/**
 * Asks the supervisor of a mount.
 *
 * @returns undefined when nobody answers there
 * @throws Error what was refused; when `limitMs` pass without an answer
 */
export async function askMount(
  mountpoint: string,
  request: ControlRequest,
  { limitMs, run }: { limitMs: number; run?: string },
): Promise<MountStatus | undefined> {
  const socket = connect(socketPath(mountpoint, run));
  socket.setTimeout(limitMs, () => {
    socket.destroy(new Error(`The mount on "${mountpoint}" does not answer for ${limitMs} ms`));
  });
  try {
    await once(socket, "connect");
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (["ENOENT", "ECONNREFUSED"].includes(code)) return undefined;
    if (code === "EACCES") {
      throw new Error(`Cannot ask the mount on "${mountpoint}": run as root`, { cause: error });
    }
    throw error;
  }
  socket.write(`${JSON.stringify(request)}\n`);
  const answer = JSON.parse(await readLine(socket)) as ControlAnswer;
  socket.destroy();
  if ("failed" in answer) throw new Error(answer.failed);
  return answer.done;
}

async function readLine(socket: Socket): Promise<string> {
  let text = "";
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    if (text.includes("\n")) return text.slice(0, text.indexOf("\n"));
    if (text.length > LINE_MAX) break;
  }
  throw new Error("The line was cut off");
}

/** Removes what the mount kept there. */
export function forgetControl(mountpoint: string): void {
  rmSync(mountFolder(mountpoint), { recursive: true, force: true });
}
