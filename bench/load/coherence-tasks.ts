import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Prepared, Task } from "./tasks.ts";

/** A change through one mount, seen through another. */

export const coherenceKinds = { seeChange };

export type ChangeKind = "create" | "unlink" | "chmod" | "rename" | "data";

interface Change {
  /** Makes what is changed. */
  readonly prepare: (path: string) => void;
  readonly change: (path: string) => void;
  /** The new state is seen. */
  readonly seen: (path: string) => boolean;
}

const touch = (path: string): void => {
  closeSync(openSync(path, "w"));
};
const exists = (path: string): boolean => existsSync(path);
const NEW_MODE = 0o600;

const changes: Readonly<Record<ChangeKind, Change>> = {
  create: { prepare: () => undefined, change: touch, seen: exists },
  unlink: { prepare: touch, change: unlinkSync, seen: (path) => !existsSync(path) },
  chmod: {
    prepare: touch,
    change: (path) => {
      chmodSync(path, NEW_MODE);
    },
    seen: (path) => (statSync(path).mode & 0o777) === NEW_MODE,
  },
  rename: {
    prepare: (path) => {
      writeFileSync(path, "old");
      writeFileSync(`${path}.new`, "newer");
    },
    change: (path) => {
      renameSync(`${path}.new`, path);
    },
    seen: (path) => readFileSync(path, "latin1") === "newer",
  },
  data: {
    prepare: (path) => {
      writeFileSync(path, "old");
    },
    change: (path) => {
      writeFileSync(path, "new");
    },
    seen: (path) => readFileSync(path, "latin1") === "new",
  },
};

const LOOK_EVERY_MS = 0.1;
const GIVE_UP_MS = 20_000;

/** Milliseconds from the end of each change until it is seen. */
function seeChange({ folder, otherFolder = "", prefix, count, change }: Task): Prepared {
  const { prepare, change: make, seen } = changes[change ?? "create"];
  return () => {
    const samples: number[] = [];
    for (let number = 0; number < count; number++) {
      const path = join(folder, `${prefix}${number}`);
      const other = join(otherFolder, `${prefix}${number}`);
      prepare(path);
      waitUntil(() => change === "create" || existsSync(other));
      // What is seen now is what the other mount keeps.
      if (seen(other)) throw new Error(`${other} is changed before it was`);
      make(path);
      samples.push(waitUntil(() => seen(other)));
    }
    return { operations: count, samples };
  };
}

/** Looks until it is true; answers how long that took. */
function waitUntil(ready: () => boolean): number {
  const began = performance.now();
  for (;;) {
    const yes = ready();
    const passed = performance.now() - began;
    if (yes) return passed;
    if (passed > GIVE_UP_MS) throw new Error("The other mount does not see the change");
    pause();
  }
}

const NEVER = new Int32Array(new SharedArrayBuffer(4));

function pause(): void {
  Atomics.wait(NEVER, 0, 0, LOOK_EVERY_MS);
}
