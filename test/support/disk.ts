import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { makeFolder } from "./folder.ts";

const run = promisify(execFile);

/** A small disk of the test's own, in memory. */
export interface TestDisk extends AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string;
  readonly remount: (options: string) => Promise<void>;
  /** Takes the disk away; what lies below it is seen then. */
  readonly unmount: () => Promise<void>;
  /** Puts it back where it was, with what was on it. */
  readonly mountAgain: () => Promise<void>;
}

export async function makeDisk(bytes: number, options = ""): Promise<TestDisk> {
  const folder = await makeFolder();
  const [path, aside] = [join(folder.path, "disk"), join(folder.path, "aside")];
  await mkdir(path);
  await mkdir(aside);
  const size = `size=${bytes}${options === "" ? "" : `,${options}`}`;
  await run("mount", ["-t", "tmpfs", "-o", size, "test", path]);
  // Held a second time: it is not gone when it is unmounted.
  await run("mount", ["--bind", path, aside]);
  return {
    path,
    remount: async (how) => {
      await run("mount", ["-o", `remount,${how}`, path]);
    },
    unmount: async () => {
      await run("umount", ["-l", path]);
    },
    mountAgain: async () => {
      await run("mount", ["--bind", aside, path]);
    },
    async [Symbol.asyncDispose]() {
      for (const place of [path, aside]) await run("umount", ["-l", place]).catch(() => undefined);
      await folder[Symbol.asyncDispose]();
    },
  };
}
