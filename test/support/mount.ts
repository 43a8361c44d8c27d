import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import {
  askMount,
  mountFolder,
  type ControlRequest,
  type MountStatus,
} from "../../src/mount/control.ts";
import { officialBinary } from "./binaries.ts";
import { makeFolder, type TestFolder } from "./folder.ts";
import { startProgram, until, type RunningProgram } from "./process.ts";
import { startRedis, type TestRedis } from "./redis.ts";

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** Runs our command. Rejects with what it said when it fails. */
export async function juicefs(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return run(process.execPath, [MAIN, ...args], { maxBuffer: 1 << 26 });
}

/** Runs the official client's command; objects without metadata count at once. */
export async function officialJuicefs(
  ...args: string[]
): Promise<{ stdout: string; stderr: string }> {
  return run(officialBinary(), [...args, "--no-agent"], {
    env: { ...process.env, JFS_GC_SKIPPEDTIME: "0" },
    maxBuffer: 1 << 26,
  });
}

/** A volume that is made for a test, and the folder its mounts and objects lie in. */
export interface TestVolumeOnDisk extends AsyncDisposable {
  readonly server: TestRedis;
  readonly metaUrl: string;
  readonly folder: string;
}

export interface VolumeOptions {
  /** A server that outlives the volume; else one of its own. */
  readonly server?: TestRedis | undefined;
  readonly database?: number;
  /** Arguments of `format`; without `--bucket` objects lie in a folder. */
  readonly format?: readonly string[];
  /** Made by the official client. */
  readonly official?: boolean;
}

export async function formatTestVolume(options: VolumeOptions = {}): Promise<TestVolumeOnDisk> {
  const folder: TestFolder = await makeFolder();
  const server = options.server ?? (await startRedis());
  const metaUrl = server.url(options.database ?? 1);
  const format = options.format ?? [];
  const bucket = format.includes("--bucket") ? [] : ["--bucket", join(folder.path, "objects")];
  const make = options.official === true ? officialJuicefs : juicefs;
  await make("format", metaUrl, "test-volume", ...bucket, ...format);
  return {
    ...{ server, metaUrl, folder: folder.path },
    async [Symbol.asyncDispose]() {
      if (options.server === undefined) await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** A mount that goes with the test; both processes of it too. */
export interface TestMount extends AsyncDisposable {
  readonly path: string;
  readonly supervisor: RunningProgram;
  /** Unmounts and waits until everything is stored. */
  readonly unmount: (limitMs?: number) => Promise<void>;
}

let mounts = 0;

/** Mounts a volume with our client, in the foreground. `args`: more options of `mount`; `enter`: a command that runs it. */
export async function mountVolume(
  volume: Pick<TestVolumeOnDisk, "metaUrl" | "folder">,
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
  enter: readonly string[] = [],
): Promise<TestMount> {
  const path = join(volume.folder, `mnt${++mounts}`);
  await mkdir(path);
  const cache = args.includes("--cache-dir") ? [] : ["--cache-dir", join(volume.folder, "cache")];
  const [command, ...rest] = [...enter, process.execPath, MAIN, "mount"];
  const program = startProgram(
    command,
    [...rest, volume.metaUrl, path, ...cache, ...args],
    // Cache, socket and shared files of the mount go with the test's folder.
    { env: { ...process.env, JUICEFS_RUN: join(volume.folder, "run"), ...env } },
  );
  const mount = await mounted(path, program);
  await until(`an answer for the mount on ${path}`, async () => {
    return (await askAt({ path, folder: volume.folder }, { ask: "status" })) !== undefined;
  });
  return mount;
}

function askAt(
  { path, folder }: { readonly path: string; readonly folder: string },
  request: ControlRequest,
): Promise<MountStatus | undefined> {
  return askMount(path, request, { limitMs: 30_000, run: join(folder, "run") });
}

/** Asks the supervisor of a test's mount; for its state, when nothing else is asked. */
export async function askTestMount(
  mount: { readonly path: string; readonly folder: string },
  request: ControlRequest = { ask: "status" },
): Promise<MountStatus> {
  const answer = await askAt(mount, request);
  if (answer === undefined) throw new Error(`Nobody answers for the mount on ${mount.path}`);
  return answer;
}

/** Kills both processes of a mount at once: nobody is there any more to answer for what is mounted. */
export async function killMount(
  mount: TestMount,
  { folder }: Pick<TestVolumeOnDisk, "folder">,
): Promise<void> {
  const { supervisorPid, serverPid } = await askTestMount({ path: mount.path, folder });
  // Stopped first: neither sees the other end.
  for (const signal of ["SIGSTOP", "SIGKILL"] as const) {
    for (const pid of [serverPid, supervisorPid]) process.kill(pid, signal);
  }
  const shared = join(mountFolder(mount.path, join(folder, "run")), "shared");
  for (const path of [mount.path, shared]) await run("umount", ["-l", path]).catch(() => undefined);
  await mount.unmount();
}

/** Mounts a volume with the official client. */
export async function mountOfficial(
  volume: Pick<TestVolumeOnDisk, "metaUrl" | "folder">,
  args: readonly string[] = [],
): Promise<TestMount> {
  const path = join(volume.folder, `official${++mounts}`);
  await mkdir(path);
  const cache = join(volume.folder, `cache${mounts}`);
  const own = ["--no-usage-report", "--no-agent", "--metrics", "127.0.0.1:0", "--cache-dir", cache];
  const program = startProgram(officialBinary(), ["mount", volume.metaUrl, path, ...own, ...args]);
  return mounted(path, program);
}

/** Whoever looks at all mounts of the machine keeps each of them busy for a moment. */
async function umount(path: string): Promise<void> {
  await until(`${path} is not busy`, async () => {
    try {
      await run("umount", [path]);
      return true;
    } catch (error) {
      if (!String(error).includes("busy")) throw error;
      return false;
    }
  });
}

async function mounted(path: string, supervisor: RunningProgram): Promise<TestMount> {
  const isMounted = async (): Promise<boolean> => {
    const { stdout } = await run("cat", ["/proc/self/mountinfo"]);
    return stdout.includes(` ${path} `);
  };
  const alive = (): boolean =>
    supervisor.child.exitCode === null && supervisor.child.signalCode === null;
  await until(`a mount on ${path}`, async () => {
    if (!alive()) throw new Error(`The mount ended: ${supervisor.output()}`);
    return isMounted();
  });
  const unmount = async (limitMs?: number): Promise<void> => {
    if (await isMounted()) await umount(path);
    await until(`the end of the mount on ${path}`, () => !alive(), limitMs);
  };
  return {
    ...{ path, supervisor, unmount },
    async [Symbol.asyncDispose]() {
      try {
        await unmount();
      } catch (error) {
        // Whoever waits for it in the kernel could not be ended otherwise.
        await run("umount", ["-f", path]).catch(() => undefined);
        await run("umount", ["-l", path]).catch(() => undefined);
        // The serving process would go on without its supervisor, and keep the test's output open.
        const serving = childrenOf(supervisor.child.pid ?? 0);
        await supervisor.stop("SIGKILL");
        for (const pid of serving) endIfThere(pid);
        throw new Error(`${path} did not end: ${supervisor.output()}`, { cause: error });
      }
    },
  };
}

function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  return existsSync(path) ? readFileSync(path, "utf8").split(" ").filter(Boolean).map(Number) : [];
}

function endIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
