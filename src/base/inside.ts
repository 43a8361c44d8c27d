import { realpathSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";

/** True when `path` is the folder or lies in it, whatever links lead there; neither has to exist yet. */
export function liesIn(path: string, folder: string): boolean {
  const way = relative(followed(resolve(folder)), followed(resolve(path)));
  return way !== ".." && !way.startsWith("../");
}

/** Without the links in it, as the kernel tells where something is mounted. It does not have to exist yet. */
export function followed(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(followed(parent), basename(path));
  }
}
