import { execFile } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { promisify } from "node:util";
import { startProgram, until, type RunningProgram } from "./process.ts";

const run = promisify(execFile);

/**
 * A mount namespace of a test's own, with a `/run` of its own: sockets that have fixed places and everything that is mounted
 * stay inside, and go with it, with every process in it.
 */
export interface TestNamespace extends AsyncDisposable {
  /** Starts a program in it. */
  start(command: string, args: readonly string[], env?: NodeJS.ProcessEnv): RunningProgram;
  /** Runs a command in it to its end. Rejects with what it said when it fails. */
  run(command: string, ...args: readonly string[]): Promise<string>;
  /** A path in it, as it is seen from outside. */
  path(inside: string): string;
  /** What is mounted in it. */
  mounts(): string[];
  /** The processes in it, without the one that holds it. */
  pids(): number[];
}

/** Other tests' mounts are let go of: a copy of a mount keeps it alive. */
const SETUP = `
  awk '/ - fuse| \\/run\\/juicefs/ { print $5 }' /proc/self/mountinfo | while read -r path; do umount -l "$path"; done
  mount -t tmpfs tmpfs /run && mkdir -p /run/docker/plugins && exec sleep infinity`;

export async function makeNamespace(): Promise<TestNamespace> {
  const holder = startProgram("unshare", [
    ...["-m", "--propagation", "private", "sh", "-c", SETUP],
  ]);
  const { pid = 0 } = holder.child;
  const enter = ["-m", "-t", String(pid), "--"];
  await until("a mount namespace", () => commandOf(pid).startsWith("sleep"));
  const namespace = readlinkSync(`/proc/${pid}/ns/mnt`);
  const pids = (): number[] =>
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name) && name !== String(pid))
      .filter((name) => namespaceOf(name) === namespace)
      .map(Number);
  const started: RunningProgram[] = [];
  return {
    start(command, args, env = {}) {
      const program = startProgram("nsenter", [...enter, command, ...args], {
        env: { ...process.env, ...env },
      });
      started.push(program);
      return program;
    },
    async run(command, ...args) {
      const { stdout } = await run("nsenter", [...enter, command, ...args], { maxBuffer: 1 << 26 });
      return stdout;
    },
    path: (inside) => `/proc/${pid}/root${inside}`,
    mounts: () => readFileSync(`/proc/${pid}/mountinfo`, "utf8").trimEnd().split("\n"),
    pids,
    async [Symbol.asyncDispose]() {
      await until("the end of what runs in the namespace", () => {
        for (const other of pids()) endProcess(other);
        return pids().length === 0;
      });
      for (const program of started) await program.stop("SIGKILL");
      await holder.stop("SIGKILL");
    },
  };
}

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
}

function namespaceOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return "";
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
