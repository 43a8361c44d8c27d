import { spawnSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { join } from "node:path";
import type { Prepared, Task } from "./tasks.ts";

/** Tasks on names and attributes. */

export const nameKinds = {
  create: each((path) => {
    closeSync(openSync(path, "w"));
  }),
  unlink: each(unlinkSync),
  mkdir: each((path) => {
    mkdirSync(path);
  }),
  rmdir: each((path) => {
    rmdirSync(path);
  }),
  chmod: each((path) => {
    chmodSync(path, 0o600);
  }),
  stat: each((path) => {
    statSync(path);
  }),
  rename,
  readdir,
  list,
  askAttributes,
};

export function pathsOf({ folder, prefix, count }: Task): string[] {
  return Array.from({ length: count }, (_, number) => join(folder, `${prefix}${number}`));
}

function each(call: (path: string) => void): (task: Task) => Prepared {
  return (task) => {
    const paths = pathsOf(task);
    const times = task.times ?? 1;
    return () => {
      for (let time = 0; time < times; time++) for (const path of paths) call(path);
      return times * paths.length;
    };
  };
}

function rename(task: Task): Prepared {
  const pairs = pathsOf(task).map((path) => [path, `${path}.moved`] as const);
  return () => {
    for (const [from, to] of pairs) renameSync(from, to);
    return pairs.length;
  };
}

/** Counts entries. */
function readdir({ folder }: Task): Prepared {
  return () => readdirSync(folder).length;
}

/** `ls -l`, as people do it; counts entries. */
function list({ folder, count }: Task): Prepared {
  return () => {
    const { status } = spawnSync("ls", ["-l", folder], { stdio: "ignore" });
    if (status !== 0) throw new Error(`ls -l ${folder} failed`);
    return count;
  };
}

/** Attributes of one file, `count` times, past what the kernel knows. */
function askAttributes({ folder, prefix, count }: Task): Prepared {
  const names = Array.from({ length: count }, () => prefix);
  return () => {
    // One that wants no member is not asked for anything.
    const args = ["--cached=never", "--printf=%s", ...names];
    const { status } = spawnSync("stat", args, { cwd: folder, stdio: "ignore" });
    if (status !== 0) throw new Error(`stat in ${folder} failed`);
    return count;
  };
}
