import { spawn, type ChildProcess, type SpawnOptions } from "node:child_process";
import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

/** A TCP port of the loopback address that nobody listens on right now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** A program that ends with the test. What it prints is kept for the message of a failure. */
export interface RunningProgram extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** Ends it with `signal` and waits until it is gone. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<void>;
}

export function startProgram(
  command: string,
  args: readonly string[],
  options: SpawnOptions = {},
): RunningProgram {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  let text = "";
  const keep = (chunk: Buffer): void => {
    text = (text + chunk.toString()).slice(-20_000);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  const gone = once(child, "exit");
  gone.catch(() => undefined);
  const stop = async (signal: NodeJS.Signals = "SIGTERM"): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await gone;
  };
  return { child, output: () => text, stop, [Symbol.asyncDispose]: () => stop() };
}

/** Waits until `ready` is true; fails with `what` after `limitMs`. */
export async function until(
  what: string,
  ready: () => boolean | Promise<boolean>,
  limitMs = 20_000,
): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await ready())) {
    if (Date.now() > end) throw new Error(`Waited ${limitMs} ms in vain: ${what}`);
    await sleep(20);
  }
}
