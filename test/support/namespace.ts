import { execFile } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { promisify } from "node:util";
import { startProgram, until, type RunningProgram } from "./process.ts";

const run = promisify(execFile);

/**
 * Namespaces of a test's own for mounts and processes, with a `/run` of its own: sockets that have fixed places and everything
 * that is mounted stay inside, and go with it, with every process in it.
 */
export interface TestNamespace extends AsyncDisposable {
  start(command: string, args: readonly string[], env?: NodeJS.ProcessEnv): ProgramInside;
  /** Runs a command in it to its end. Rejects with what it said when it fails. */
  run(command: string, ...args: readonly string[]): Promise<string>;
  /** A path in it, as it is seen from outside. */
  path(inside: string): string;
  /** What is mounted in it. */
  mounts(): string[];
  /** The processes in it, as they are numbered outside, without the one that holds it. */
  pids(): number[];
}

/** A program in a namespace; `child` is of a process outside that waits for it. */
export interface ProgramInside extends RunningProgram {
  /** As it is numbered outside. */
  pid(): number;
}

/**
 * Other tests' mounts are let go of, all but the one that is named: a copy of a mount keeps it alive. What is mounted is shared
 * inside, as where systemd runs.
 */
const SETUP = `
  awk -v keep="$0" '/ - fuse| - tmpfs juicefs/ && $5 != keep { print $5 }' /proc/self/mountinfo | while read -r path; do umount -c -i -l "$path"; done
  mount --make-rshared / && mount -t tmpfs tmpfs /run && mkdir -p /run/docker/plugins && exec tini -s -- sleep infinity`;

/**
 * @param network with a network of its own too, of which only the loopback device is up
 * @param keep what is mounted there is seen inside too
 */
export async function makeNamespace({ network = false, keep = "" } = {}): Promise<TestNamespace> {
  const net = network ? ["--net"] : [];
  const holder = startProgram("unshare", [
    ...["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--propagation", "private"],
    ...[...net, "sh", "-c", network ? `ip link set lo up; ${SETUP}` : SETUP, keep],
  ]);
  let init = 0;
  await until("namespaces", () => {
    [init = 0] = childrenOf(holder.child.pid ?? 0);
    return init !== 0 && childrenOf(init).some((pid) => commandOf(pid) === "sleep");
  });
  const enter = ["--mount", "--pid", ...net, "--target", String(init), "--"];
  const namespace = readlinkSync(`/proc/${init}/ns/pid`);
  const holding = new Set([init, ...childrenOf(init)]);
  return {
    start(command, args, env = {}) {
      const program = startProgram("nsenter", [...enter, command, ...args], {
        env: { ...process.env, ...env },
      });
      const pid = (): number => childrenOf(program.child.pid ?? 0)[0] ?? 0;
      return { ...program, pid, stop: (signal) => stopInside(program, signal) };
    },
    async run(command, ...args) {
      const { stdout } = await run("nsenter", [...enter, command, ...args], { maxBuffer: 1 << 26 });
      return stdout;
    },
    path: (inside) => `/proc/${init}/root${inside}`,
    mounts: () => readFileSync(`/proc/${init}/mountinfo`, "utf8").trimEnd().split("\n"),
    pids: () => inNamespace(namespace).filter((pid) => !holding.has(pid)),
    async [Symbol.asyncDispose]() {
      await holder.stop("SIGKILL");
      await until("the end of what runs there", () => inNamespace(namespace).length === 0);
    },
  };
}

/** Ends the program itself; who waits for it ends then too. */
async function stopInside(
  { child }: RunningProgram,
  signal: NodeJS.Signals = "SIGTERM",
): Promise<void> {
  const over = (): boolean => child.exitCode !== null || child.signalCode !== null;
  for (const pid of childrenOf(child.pid ?? 0)) process.kill(pid, signal);
  await until(`the end of ${child.spawnargs.join(" ")}`, over);
}

function childrenOf(pid: number): number[] {
  return readText(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);
}

function commandOf(pid: number): string {
  return readText(`/proc/${pid}/comm`).trim();
}

function inNamespace(namespace: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => read(() => readlinkSync(`/proc/${name}/ns/pid`)) === namespace)
    .map(Number);
}

function readText(path: string): string {
  return read(() => readFileSync(path, "utf8"));
}

/** "" where the process has ended. */
function read(from: () => string): string {
  try {
    return from();
  } catch {
    return "";
  }
}
