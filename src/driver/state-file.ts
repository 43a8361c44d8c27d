import { createHash, randomBytes } from "node:crypto";
import { readFileSync, renameSync } from "node:fs";
import { link, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { DurableFolders, syncNameOf } from "../base/folder-sync.ts";
import { log } from "../base/log.ts";

/**
 * A record on disk that is there whole or not at all, whatever happens while it is written: written under another name,
 * synced, renamed, the folder and those above it synced. The version before stays beside it. What cannot be read is put aside, never thrown
 * away, and the version before is used.
 */

const Envelope = z.object({ sha256: z.string(), state: z.unknown() });

export class StateFile<T> {
  readonly #path: string;
  readonly #schema: z.ZodType<T>;
  readonly #durable: DurableFolders;
  /** The write that is under way, and the one that waits for its end. */
  #writing: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(path: string, schema: z.ZodType<T>) {
    this.#path = path;
    this.#schema = schema;
    this.#durable = new DurableFolders(dirname(path));
  }

  get #backup(): string {
    return `${this.#path}.last`;
  }

  /** What was saved last; undefined where nothing was, or nothing that can be read. Never throws. */
  load(): T | undefined {
    for (const path of [this.#path, this.#backup]) {
      try {
        return this.#read(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") putAside(path, error);
      }
    }
    return undefined;
  }

  /**
   * Settles when `state`, as it was when the write began, is on disk. Savers that come while one writes share the next
   * write.
   *
   * @throws Error in one sentence
   */
  async save(state: () => T): Promise<void> {
    this.#next ??= this.#writing.then(() => {
      this.#next = undefined;
      const writing = this.#write(state());
      this.#writing = writing.catch(() => undefined);
      return writing;
    });
    await this.#next;
  }

  #read(path: string): T {
    const envelope = Envelope.parse(JSON.parse(readFileSync(path, "utf8")));
    if (envelope.sha256 !== digest(envelope.state)) throw new Error("its checksum is wrong");
    return this.#schema.parse(envelope.state);
  }

  async #write(state: T): Promise<void> {
    const path = this.#path;
    try {
      const folder = dirname(path);
      const first = await mkdir(folder, { recursive: true, mode: 0o700 });
      if (first !== undefined) this.#durable.made(first, folder);
      await writeSynced(`${path}.new`, `${JSON.stringify({ sha256: digest(state), state })}\n`);
      await keepAs(this.#backup, path);
      await rename(`${path}.new`, path);
      await this.#durable.sync(folder);
    } catch (cause) {
      await rm(`${path}.new`, { force: true }).catch(() => undefined);
      throw new Error(`Cannot save to "${path}": ${reason(cause)}`, { cause });
    }
  }
}

function digest(state: unknown): string {
  return createHash("sha256").update(JSON.stringify(state)).digest("hex");
}

async function writeSynced(path: string, content: string | Uint8Array): Promise<void> {
  await using file = await open(path, "w", 0o600);
  await file.writeFile(content);
  await file.sync();
}

/** At every moment at least one of the two names leads to a whole record: also when the first was put aside. */
async function keepAs(backup: string, path: string): Promise<void> {
  const next = `${backup}.new`;
  await rm(next, { force: true });
  try {
    await link(path, next);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return;
  }
  await rename(next, backup);
}

function putAside(path: string, error: unknown): void {
  const aside = `${path}.bad-${new Date().toISOString().replaceAll(":", "")}`;
  log.error({ path, aside, error }, "the state cannot be read and is put aside");
  try {
    renameSync(path, aside);
  } catch (failure) {
    log.error({ path, error: failure }, "the state cannot be put aside");
  }
}

function reason(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return `no space is left there (${code}); free some`;
    case "EROFS":
      return "the file system is read-only; mount it for writing";
    default:
      return code ?? String(error);
  }
}

const KEY_BYTES = 32;

/** A random key that only root reads, made when it is missing. @throws Error */
export async function readOrMakeKey(path: string): Promise<Buffer> {
  try {
    const key = await readFile(path);
    if (key.length === KEY_BYTES) return key;
    throw new Error(`Cannot use the key "${path}": expected ${KEY_BYTES} bytes`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const key = randomBytes(KEY_BYTES);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeSynced(`${path}.new`, key);
    await rename(`${path}.new`, path);
    await syncNameOf(path);
  } catch (cause) {
    throw new Error(`Cannot save to "${path}": ${reason(cause)}`, { cause });
  }
  return key;
}
