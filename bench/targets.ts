import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { useCompileCache } from "../src/base/compile-cache.ts";
import {
  formatTestVolume,
  mountOfficial,
  mountVolume,
  type TestMount,
  type TestVolumeOnDisk,
} from "../test/support/mount.ts";
import type { TestRedis } from "../test/support/redis.ts";
import { familyOf } from "./counters/processes.ts";

/** What is measured: a folder, and who serves it. */
export interface Target extends AsyncDisposable {
  readonly name: string;
  /** Where works may be done; another one after a remount. */
  readonly root: string;
  /** The serving process, and who watches it; empty for a plain folder. */
  readonly pids: readonly number[];
  /** Forgets what the client keeps, where that is possible. */
  readonly remount?: () => Promise<void>;
}

export interface ClientOptions {
  readonly server: TestRedis;
  readonly database: number;
  readonly format: readonly string[];
  readonly mount?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

let mounts = 0;

/**
 * A volume made and mounted by our client. Each mount has an empty cache folder; none where objects are files of this machine:
 * by default they are not cached then, unless a folder is named.
 */
export function openOurs(options: ClientOptions): Promise<Target> {
  return openClient("ours", options, (volume) => {
    const inFiles = options.format[options.format.indexOf("--storage") + 1] === "file";
    const cache = inFiles
      ? ["--cache-size", "0"]
      : ["--cache-dir", join(volume.folder, `empty${++mounts}`)];
    // As the driver starts its mounts.
    const env = { NODE_COMPILE_CACHE: useCompileCache(), ...options.env };
    return mountVolume(volume, [...(options.mount ?? []), ...cache], env);
  });
}

/** The same by the official one. */
export function openOfficial(options: ClientOptions): Promise<Target> {
  return openClient("official", options, (volume) => mountOfficial(volume, options.mount));
}

async function openClient(
  name: "ours" | "official",
  { server, database, format }: ClientOptions,
  mount: (volume: TestVolumeOnDisk) => Promise<TestMount>,
): Promise<Target> {
  const volume = await formatTestVolume({
    ...{ server, database, format },
    official: name === "official",
  });
  let mounted = await mount(volume);
  let pids = familyOf(mounted.supervisor.child.pid ?? 0);
  return {
    name,
    get root() {
      return mounted.path;
    },
    get pids() {
      return pids;
    },
    async remount() {
      await mounted.unmount();
      mounted = await mount(volume);
      pids = familyOf(mounted.supervisor.child.pid ?? 0);
    },
    async [Symbol.asyncDispose]() {
      await mounted[Symbol.asyncDispose]();
      await volume[Symbol.asyncDispose]();
    },
  };
}

/** A folder of some file system: made for the measurement, and removed with it. */
export async function openFolder(name: string, parent = tmpdir()): Promise<Target> {
  const root = await mkdtemp(join(parent, "juicefs-bench-"));
  return {
    ...{ name, root, pids: [] },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

/** Makes a folder below a target. */
export async function folderOf(target: Target, name: string): Promise<string> {
  const path = join(target.root, name);
  await mkdir(path, { recursive: true });
  return path;
}
