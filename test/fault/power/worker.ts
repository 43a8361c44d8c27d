import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { stepsOf, type Step } from "./steps.ts";

/**
 * Does the steps of a seed in a folder until it is killed. Prints `b` before each of them and `d` when it was acknowledged; an
 * error ends it.
 */

const [folder = "", seed = ""] = process.argv.slice(2);
const held = new Map<string, number>();

function writeAll(fd: number, data: Buffer, offset: number): void {
  for (let done = 0; done < data.length;) {
    done += writeSync(fd, data, done, data.length - done, offset + done);
  }
}

function sync(fd: number, how: string): void {
  if (how === "fsync") fsyncSync(fd);
  if (how === "fdatasync") fdatasyncSync(fd);
}

function during(path: string, flags: number, work: (fd: number) => void): void {
  const fd = openSync(path, flags);
  try {
    work(fd);
  } finally {
    closeSync(fd);
  }
}

const { O_CREAT, O_DSYNC, O_RDONLY, O_TRUNC, O_WRONLY } = constants;

function holding(path: string, flags: number): number {
  const fd = held.get(path) ?? openSync(path, O_CREAT | O_WRONLY | flags);
  held.set(path, fd);
  return fd;
}

function execute(step: Step): void {
  const path = join(folder, step.path);
  switch (step.kind) {
    case "mkdir":
      mkdirSync(path);
      break;
    case "write":
      during(path, O_CREAT | O_WRONLY, (fd) => {
        writeAll(fd, step.data, step.offset);
        sync(fd, step.sync);
      });
      break;
    case "hold": {
      const fd = holding(path, step.sync === "close" ? O_DSYNC : 0);
      writeAll(fd, step.data, step.offset);
      sync(fd, step.sync);
      break;
    }
    case "replace": {
      const temporary = join(folder, step.temporary);
      during(temporary, O_CREAT | O_WRONLY | O_TRUNC, (fd) => {
        writeAll(fd, step.data, 0);
        fsyncSync(fd);
      });
      renameSync(temporary, path);
      during(dirname(path), O_RDONLY, fsyncSync);
      break;
    }
    case "move":
      renameSync(path, join(folder, step.to));
      break;
    case "truncate":
      during(path, O_WRONLY, (fd) => {
        ftruncateSync(fd, step.size);
        fsyncSync(fd);
      });
      break;
    case "remove":
      unlinkSync(path);
      break;
  }
}

mkdirSync(folder);
for (const step of stepsOf(Number(seed))) {
  writeSync(1, "b");
  execute(step);
  writeSync(1, "d");
}
