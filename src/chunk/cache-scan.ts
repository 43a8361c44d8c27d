import { opendir, rmdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";

/** Walks over the blocks below a folder, a few at a time, so that nobody else has to wait. */

export interface FoundBlock {
  /** The object's key below the volume's prefix. */
  readonly key: string;
  /** Bytes of the block, as its name says. */
  readonly size: number;
  /** Seconds; the later of when it was read and written, as far as the file system tells. */
  readonly usedAt: number;
  readonly writtenAt: number;
  /** It has another name: it waits to be stored. */
  readonly linked: boolean;
}

/** Folders and halves of files are left alone while they are younger. */
const SETTLED_MS = 60_000;
const BLOCK = /^chunks\/[0-9A-F]+\/\d+\/\d+_\d+_(\d+)$/;

/** The size that a block's key names; undefined for other names. */
export function sizeOfKey(key: string): number | undefined {
  const [, size] = BLOCK.exec(key) ?? [];
  return size === undefined ? undefined : Number(size);
}

/** Removes what is left of writers that died, and empty folders. Names of other kinds are left alone. */
export async function* scanBlocks(root: string): AsyncIterable<FoundBlock> {
  yield* scanFolder(root, "");
}

async function* scanFolder(root: string, below: string): AsyncIterable<FoundBlock> {
  const path = join(root, below);
  const names: string[] = [];
  let entries = 0;
  try {
    for await (const entry of await opendir(path, { bufferSize: 256 })) {
      entries++;
      const name = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) names.push(name);
      else if (entry.isFile()) {
        const found = await look(root, name);
        if (found !== undefined) yield found;
      }
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  for (const name of names) yield* scanFolder(root, name);
  if (entries === 0 && below !== "") await removeEmpty(path);
}

async function look(root: string, key: string): Promise<FoundBlock | undefined> {
  const path = join(root, key);
  const size = sizeOfKey(key);
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) return undefined;
  if (key.endsWith(".tmp") && Date.now() - info.mtimeMs > SETTLED_MS) {
    await unlink(path).catch(() => undefined);
  }
  if (size === undefined || size === 0) return undefined;
  const writtenAt = Math.floor(info.mtimeMs / 1000);
  const usedAt = Math.max(writtenAt, Math.floor(info.atimeMs / 1000));
  return { key, size, usedAt, writtenAt, linked: info.nlink > 1 };
}

/** A folder that somebody puts a file into at this moment is not empty. */
async function removeEmpty(path: string): Promise<void> {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined || Date.now() - info.mtimeMs < SETTLED_MS) return;
  await rmdir(path).catch(() => undefined);
}
