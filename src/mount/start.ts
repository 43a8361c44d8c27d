import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { liesIn } from "../base/inside.ts";
import { makeFoldersSync } from "../base/make-folders.ts";
import { withAbsoluteFolders } from "../volume/cache-settings.ts";
import type { MountConfig, OpenedMessage } from "./messages.ts";
import { childEnvironment } from "./child-environment.ts";
import type { SuperviseAnswer, SuperviseRequest } from "./supervise.ts";

const PROGRAM = fileURLToPath(new URL("supervise.ts", import.meta.url));

export interface StartOptions {
  /** Where supervisor and serving process log to; absent: where this process does. */
  readonly logFile?: string | undefined;
  /** Gives up, and ends what was started. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Mounts in the background: a supervisor of its own, which outlives this process.
 *
 * @throws Error in one sentence, with nothing left behind
 */
export async function startMount(
  config: MountConfig,
  { logFile, signal }: StartOptions = {},
): Promise<OpenedMessage & { pid: number }> {
  const output = logFile === undefined ? "inherit" : openLog(logFile, config.mountpoint);
  const child = spawn(process.execPath, [PROGRAM], {
    stdio: ["ignore", output, output, "ipc"],
    ...{ env: ownEnvironment(), cwd: workingFolder(config), detached: true },
  });
  if (output !== "inherit") closeSync(output);
  const given = Promise.withResolvers<SuperviseAnswer>();
  child.once("message", given.resolve);
  child.once("error", given.reject);
  child.once("exit", (code, how) => {
    given.reject(new Error(`Cannot mount: the supervisor ended with ${how ?? `status ${code}`}`));
  });
  const aborted = (): void => {
    child.kill("SIGTERM");
    given.reject(new Error(`Cannot mount on "${config.mountpoint}": it takes too long`));
  };
  signal?.addEventListener("abort", aborted, { once: true });
  try {
    const mount = { ...config, values: withAbsoluteFolders(config.values) };
    child.send({ mount } satisfies SuperviseRequest);
    const answer = await given.promise;
    if ("failed" in answer) throw new Error(answer.failed);
    return { ...answer.mounted, pid: child.pid ?? 0 };
  } finally {
    signal?.removeEventListener("abort", aborted);
    child.unref();
    if (child.connected) child.disconnect();
  }
}

function openLog(path: string, mountpoint: string): number {
  if (liesIn(path, mountpoint)) {
    throw new Error(
      `Cannot mount on "${mountpoint}": the log "${path}" would lie there; name another file with --log`,
    );
  }
  try {
    makeFoldersSync(dirname(resolve(path)), 0o755);
    return openSync(path, "a", 0o640);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new Error(`Cannot open the log "${path}" (${code}): name another file with --log`, {
      cause,
    });
  }
}

/** Not where this process runs, which somebody may want to unmount, unless a path counts from there. */
function workingFolder({ metaUrl, values: { bucket = "/" } }: MountConfig): string {
  const counts = !/^\/|:\/\//.test(bucket) || /[?&]tls-[a-z-]+-file=(?!\/|%2f)/i.test(metaUrl);
  return counts ? process.cwd() : "/";
}

function ownEnvironment(): NodeJS.ProcessEnv {
  const { META_PASSWORD_FILE: file } = process.env;
  return {
    ...childEnvironment(),
    ...(file === undefined ? {} : { META_PASSWORD_FILE: resolve(file) }),
  };
}
