import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** Where `test/support/install.sh` puts what no package manager has. */
export const CACHE_FOLDER = join(
  process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
  "juicefs-volume",
  "bin",
);

/** MinIO's server: `MINIO_BIN`, then PATH, then the cache folder. */
export function minioBinary(): string {
  return process.env["MINIO_BIN"] ?? onPath("minio") ?? cached("minio");
}

/** The official client, the judge of the format. */
export function officialBinary(): string {
  return process.env["JUICEFS_OFFICIAL_BIN"] ?? cached("juicefs-1.4.2");
}

function onPath(name: string): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

function cached(name: string): string {
  const path = join(CACHE_FOLDER, name);
  if (existsSync(path)) return path;
  throw new Error(`${name} is not installed: run test/support/install.sh`);
}
