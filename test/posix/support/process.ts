import { once } from "node:events";
import { spawn, type ChildProcess } from "node:child_process";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { makeFolder, type TestFolder } from "../../support/folder.ts";
import type { Calls } from "./calls.ts";

/** Processes of any user that make system calls as they are told: Node itself has neither all the calls nor other users. */

export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups?: readonly number[];
  readonly umask?: number;
}

export const ROOT: Credentials = { uid: 0, gid: 0 };
export const ALICE: Credentials = { uid: 1001, gid: 1001 };
export const BOB: Credentials = { uid: 1002, gid: 1002 };
/** Belongs to Alice's group too. */
export const CAROL: Credentials = { uid: 1003, gid: 1003, groups: [ALICE.gid] };

/** A process; its calls reject with the code that errno had. Ends with the test, and everything it has open. */
export type TestProcess = Calls & AsyncDisposable & { readonly pid: number };

const PROGRAM = fileURLToPath(new URL("calls.py", import.meta.url));

const alive = new Set<Lines>();

/** Forks the others. One a test file, started when it is needed first. */
let starter: Promise<Starter> | undefined;

interface Starter {
  readonly child: ChildProcess;
  readonly folder: TestFolder;
  readonly socket: string;
}

export async function startProcess(who: Credentials = ROOT): Promise<TestProcess> {
  starter ??= start();
  const { socket } = await starter;
  const connection = connect(socket);
  await once(connection, "connect");
  const line = new Lines(connection);
  alive.add(line);
  const { uid, gid, groups = [], umask = 0o022 } = who;
  const pid = (await line.ask({ uid, gid, groups, umask })) as number;
  return new Proxy({} as TestProcess, {
    get(_target, name) {
      if (name === Symbol.asyncDispose) return () => line.end().finally(() => alive.delete(line));
      if (name === "pid") return pid;
      if (typeof name !== "string" || name === "then") return undefined;
      return (...args: unknown[]) => line.call(name, args);
    },
  });
}

/** Ends what forks processes, and those of rules that gave up. */
export async function endProcesses(): Promise<void> {
  for (const line of alive) await line.end();
  const started = await starter;
  starter = undefined;
  if (started === undefined) return;
  const gone = once(started.child, "exit");
  if (started.child.pid !== undefined) process.kill(-started.child.pid, "SIGKILL");
  await gone;
  await started.folder[Symbol.asyncDispose]();
}

async function start(): Promise<Starter> {
  const folder = await makeFolder();
  const socket = join(folder.path, "socket");
  const child = spawn("python3", ["-I", "-S", PROGRAM, socket], {
    stdio: ["pipe", "pipe", "inherit"],
    // A group of its own: those it forks end with it, also in a call that waits.
    detached: true,
  });
  if (child.stdout === null) throw new Error("no output of the process starter");
  await once(child.stdout, "data");
  return { child, folder, socket };
}

interface Answer {
  readonly value?: unknown;
  readonly errno?: string;
  readonly text?: string;
}

/** A call a line, an answer a line, in order. */
class Lines {
  readonly #socket: Socket;
  readonly #lines: Interface;
  readonly #waiting: ((answer: Answer) => void)[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#lines = createInterface(socket);
    this.#lines.on("line", (line) => {
      this.#waiting.shift()?.(JSON.parse(line) as Answer);
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      for (const settle of this.#waiting.splice(0)) settle({ errno: "gone" });
    });
  }

  async call(call: string, args: readonly unknown[]): Promise<unknown> {
    return this.ask({ call, args: args.map(encode) });
  }

  async ask(message: object): Promise<unknown> {
    const answer = await new Promise<Answer>((resolve) => {
      this.#waiting.push(resolve);
      this.#socket.write(`${JSON.stringify(message)}\n`);
    });
    if (answer.errno === undefined) return decode(answer.value);
    throw Object.assign(new Error(answer.text ?? answer.errno), { code: answer.errno });
  }

  async end(): Promise<void> {
    if (this.#socket.closed) return;
    const closed = once(this.#socket, "close");
    this.#socket.destroy();
    await closed;
  }
}

function encode(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return { bytes: value.toString("base64") };
  if (typeof value === "bigint") return { int: value.toString() };
  return Array.isArray(value) ? value.map(encode) : value;
}

function decode(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(decode);
  if (typeof value !== "object" || value === null) return value;
  if ("bytes" in value) return Buffer.from(String(value.bytes), "base64");
  if ("int" in value) return BigInt(String(value.int));
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, decode(one)]));
}
