import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Makes the kernel forget the pages of the files in a folder; they are written out first. */
export async function forgetPages(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    await run("sync", [path]);
    // With nothing to copy and this flag, dd advises that the whole file is not needed.
    await run("dd", [`if=${path}`, "iflag=nocache", "count=0", "status=none"]);
  }
}
