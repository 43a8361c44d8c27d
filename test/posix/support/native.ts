import { execFile } from "node:child_process";
import { chmod, mkdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { makeFolder } from "../../support/folder.ts";
import type { Place } from "../rules.ts";

const run = promisify(execFile);
const IMAGE_BYTES = 512 << 20;

/**
 * An ext4 of the test's own, on a loop device; tmpfs where there is none. What the machine's temporary folder lies on may be
 * an overlay, which lacks much.
 */
export async function mountNative(options: readonly string[] = []): Promise<Place> {
  const folder = await makeFolder();
  const path = join(folder.path, "native");
  await mkdir(path);
  // The test's folder is its owner's alone; other users walk through it.
  await chmod(folder.path, 0o711);
  const mountOptions = ["noatime", ...options].join(",");
  try {
    const image = join(folder.path, "image");
    await writeFile(image, "");
    await truncate(image, IMAGE_BYTES);
    await run("mkfs.ext4", ["-q", "-I", "256", image]);
    await run("mount", ["-o", `loop,${mountOptions}`, image, path]);
  } catch {
    await run("mount", ["-t", "tmpfs", "-o", mountOptions, "native", path]);
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      await run("umount", [path]);
      await folder[Symbol.asyncDispose]();
    },
  };
}
