import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Task, TaskKind } from "../load/tasks.ts";
import type { Stage, Work } from "./work.ts";

/** Works on names and attributes. */

const CROWD = 8;
/** Longer than the official client lets the kernel keep an answer. */
const LATER_MS = 1500;
const HOT_FILES = 200;
const HOT_TIMES = 300;

export const namesWorks: readonly Work[] = [
  making("create", "create + close of empty files"),
  making("mkdir", "mkdir"),
  after("create", "rename"),
  after("create", "chmod"),
  after("create", "unlink"),
  after("mkdir", "rmdir"),
  {
    name: "create-8",
    title: "create + close, 8 processes in one directory",
    prepare: (stage) => Promise.resolve(crowd(stage, "create")),
  },
  {
    name: "unlink-8",
    title: "unlink, 8 processes in one directory",
    prepare: async (stage) => {
      await stage.pool.run(crowd(stage, "create"));
      return crowd(stage, "unlink");
    },
  },
  {
    name: "stat-hot",
    title: "stat, hot",
    warmUp: false,
    prepare: async (stage) => {
      const files = await seenFiles(stage);
      return [{ ...files, count: Math.min(HOT_FILES, files.count), times: HOT_TIMES }];
    },
    lead: async ({ pool }, tasks) => {
      await pool.run(tasks.map((task) => ({ ...task, times: 1 })));
    },
  },
  {
    name: "stat-later",
    title: "stat, 1.5 s later",
    warmUp: false,
    prepare: async (stage) => [await seenFiles(stage)],
    lead: seenLongAgo,
  },
  {
    name: "stat-dropped",
    title: "stat, kernel's caches dropped",
    warmUp: false,
    prepare: async (stage) => [await seenFiles(stage)],
    lead: async ({ pool }, tasks) => {
      await pool.run(tasks);
      dropKernelEntries();
    },
  },
  {
    name: "readdir",
    title: "readdir, 1.5 s later (entries)",
    warmUp: false,
    prepare: async (stage) => [await listing(stage, "readdir")],
    lead: seenLongAgo,
  },
  {
    name: "ls-l",
    title: "ls -l, 1.5 s later (entries)",
    warmUp: false,
    prepare: async (stage) => [await listing(stage, "list")],
    lead: seenLongAgo,
  },
  {
    name: "ls-l-dropped",
    title: "ls -l, kernel's caches dropped (entries)",
    warmUp: false,
    prepare: async (stage) => [await listing(stage, "list")],
    lead: async ({ pool }, tasks) => {
      await pool.run(tasks);
      dropKernelEntries();
    },
  },
];

function taskOf(kind: TaskKind, { folder, scale }: Stage): Task {
  return { kind, folder, prefix: "name", count: scale.names };
}

function making(kind: "create" | "mkdir", title: string): Work {
  return { name: kind, title, prepare: (stage) => Promise.resolve([taskOf(kind, stage)]) };
}

function after(first: "create" | "mkdir", kind: "rename" | "chmod" | "unlink" | "rmdir"): Work {
  return {
    name: kind,
    title: kind,
    prepare: async (stage) => {
      await stage.pool.run([taskOf(first, stage)]);
      return [taskOf(kind, stage)];
    },
  };
}

function crowd({ folder, scale }: Stage, kind: TaskKind): Task[] {
  const count = Math.ceil(scale.names / 4);
  return Array.from({ length: CROWD }, (_, at) => ({ kind, folder, prefix: `p${at}-`, count }));
}

async function seenFiles(stage: Stage): Promise<Task> {
  const folder = await stage.shared("files", async (empty) => {
    await stage.pool.run([{ ...taskOf("create", stage), folder: empty }]);
  });
  return { ...taskOf("stat", stage), folder };
}

async function listing(stage: Stage, kind: "readdir" | "list"): Promise<Task> {
  const count = stage.scale.listed;
  const folder = await stage.shared("listed", async (empty) => {
    await stage.pool.run([{ kind: "create", folder: empty, prefix: "name", count }]);
  });
  return { kind, folder, prefix: "name", count };
}

async function seenLongAgo({ pool }: Stage, tasks: readonly Task[]): Promise<void> {
  await pool.run(tasks);
  await sleep(LATER_MS);
}

/** Entries and inodes, of all file systems. */
function dropKernelEntries(): void {
  writeFileSync("/proc/sys/vm/drop_caches", "2");
}
