import { readdirSync, readFileSync, writeFileSync } from "node:fs";

/** CPU time and memory of running processes, from /proc. A process that is gone counts nothing. */

const TICKS_PER_SECOND = 100;

/** The process and all its descendants. */
export function familyOf(pid: number): number[] {
  const children = read(`/proc/${pid}/task`, (folder) =>
    readdirSync(folder).flatMap((task) =>
      readFileSync(`${folder}/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
    ),
  );
  return [pid, ...(children ?? []).flatMap(familyOf)];
}

/** CPU seconds used so far, of all threads together; in steps of 10 ms. */
export function cpuSeconds(pids: readonly number[]): number {
  return sum(pids, (pid) => secondsIn(`/proc/${pid}/stat`));
}

/** The same of the first thread only: in a Node process, of its event loop. */
export function mainThreadSeconds(pids: readonly number[]): number {
  return sum(pids, (pid) => secondsIn(`/proc/${pid}/task/${pid}/stat`));
}

function secondsIn(path: string): number {
  const stat = readFileSync(path, "utf8");
  // The name before it may hold blanks.
  const [user, system] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13);
  return (Number(user) + Number(system)) / TICKS_PER_SECOND;
}

/**
 * Bytes that were resident at once at most since the peak was last forgotten; summed up, with the files that all of them
 * have mapped, their program most of all, counted once.
 */
export function peakBytes(pids: readonly number[]): number {
  const statuses = pids.map((pid) =>
    read(`/proc/${pid}/status`, (path) => readFileSync(path, "utf8")),
  );
  const files = statuses.map((status) => bytesIn(status, "RssFile"));
  const own = statuses.map((status, at) => bytesIn(status, "VmHWM") - (files[at] ?? 0));
  return own.reduce((total, bytes) => total + bytes, Math.max(0, ...files));
}

function bytesIn(status: string | undefined, field: string): number {
  const [, kib] = new RegExp(`^${field}:\\s*(\\d+) kB$`, "m").exec(status ?? "") ?? [];
  return Number(kib ?? 0) * 1024;
}

export function forgetPeak(pids: readonly number[]): void {
  for (const pid of pids) {
    read(`/proc/${pid}/clear_refs`, (path) => {
      writeFileSync(path, "5");
    });
  }
}

function sum(pids: readonly number[], of: (pid: number) => number): number {
  return pids.reduce((total, pid) => total + (read(pid, of) ?? 0), 0);
}

function read<From, To>(from: From, how: (from: From) => To): To | undefined {
  try {
    return how(from);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}
