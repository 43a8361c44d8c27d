import { closeSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import { randomFillSync } from "node:crypto";
import { pathsOf } from "./name-tasks.ts";
import type { Prepared, Task } from "./tasks.ts";

/** Tasks on the data of files. What is written cannot be compressed. */

const MIB = 1 << 20;
const PAGE = 4096;

export const dataKinds = {
  writeFiles,
  readFiles,
  writeStream,
  readStream,
  readPages,
  writePages,
  writeSynced,
};

function noise(bytes: number): Buffer {
  return randomFillSync(Buffer.allocUnsafe(bytes));
}

/** Whole files, each with one write. */
function writeFiles(task: Task): Prepared {
  const paths = pathsOf(task);
  const data = noise(task.bytes ?? 0);
  return () => {
    for (const path of paths) {
      const fd = openSync(path, "w");
      writeAll(fd, data);
      closeSync(fd);
    }
    return paths.length;
  };
}

function readFiles(task: Task): Prepared {
  const paths = pathsOf(task);
  const data = Buffer.allocUnsafe(task.bytes ?? 0);
  return () => {
    for (const path of paths) {
      const fd = openSync(path, "r");
      readAll(fd, data);
      closeSync(fd);
    }
    return paths.length;
  };
}

/** One file, with requests of 1 MiB, and its close. */
function writeStream(task: Task): Prepared {
  const [path = ""] = pathsOf(task);
  const requests = Math.ceil((task.bytes ?? 0) / MIB);
  const data = noise(MIB);
  return () => {
    const fd = openSync(path, "w");
    for (let request = 0; request < requests; request++) writeAll(fd, data);
    closeSync(fd);
    return requests;
  };
}

function readStream(task: Task): Prepared {
  const [path = ""] = pathsOf(task);
  const requests = Math.ceil((task.bytes ?? 0) / MIB);
  const data = Buffer.allocUnsafe(MIB);
  return () => {
    const fd = openSync(path, "r");
    for (let request = 0; request < requests; request++) readAll(fd, data);
    closeSync(fd);
    return requests;
  };
}

/** Pages at random places of one file. */
function readPages(task: Task): Prepared {
  const [path = ""] = pathsOf(task);
  const pages = (task.bytes ?? 0) / PAGE;
  const data = Buffer.allocUnsafe(PAGE);
  return () => {
    const fd = openSync(path, "r");
    const count = timed(task, () => {
      if (readSync(fd, data, 0, PAGE, PAGE * Math.floor(Math.random() * pages)) < PAGE) {
        throw new Error(`${path} is shorter than it was`);
      }
    });
    closeSync(fd);
    return count;
  };
}

/** Pages at random places of one file, then one fsync. */
function writePages(task: Task): Prepared {
  const [path = ""] = pathsOf(task);
  const pages = (task.bytes ?? 0) / PAGE;
  const data = noise(PAGE);
  return () => {
    const fd = openSync(path, "r+");
    for (let write = 0; write < task.count; write++) {
      writeSync(fd, data, 0, PAGE, PAGE * Math.floor(Math.random() * pages));
    }
    fsyncSync(fd);
    closeSync(fd);
    return task.count;
  };
}

/** As a database's log grows: a page, an fsync, a page, an fsync. */
function writeSynced(task: Task): Prepared {
  const [path = ""] = pathsOf(task);
  const data = noise(PAGE);
  return () => {
    const fd = openSync(path, "w");
    const count = timed(task, () => {
      writeSync(fd, data);
      fsyncSync(fd);
    });
    closeSync(fd);
    return count;
  };
}

/** Repeats a call until the task's time is over; answers how often. */
function timed({ seconds = 0 }: Task, call: () => void): number {
  const end = performance.now() + seconds * 1000;
  let count = 0;
  do {
    call();
    count++;
  } while (performance.now() < end);
  return count;
}

function writeAll(fd: number, data: Buffer): void {
  let at = 0;
  while (at < data.length) at += writeSync(fd, data, at);
}

function readAll(fd: number, into: Buffer): void {
  let at = 0;
  while (at < into.length) {
    const count = readSync(fd, into, at, into.length - at, null);
    if (count === 0) throw new Error("A file is shorter than it was");
    at += count;
  }
}
