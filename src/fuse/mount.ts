import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";

/** Mounting through mount(8) with a descriptor of /dev/fuse that it inherits, and unmounting. */

export interface MountRequest {
  /** Open /dev/fuse. */
  readonly fd: number;
  /** What `df` shows, such as `JuiceFS:photos`. */
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
}

/** @throws Error with what mount(8) said */
export async function mount({ fd, source, target, options }: MountRequest): Promise<void> {
  const all = ["fd=3", "rootmode=40000", "user_id=0", "group_id=0", ...options].join(",");
  const child = spawn("mount", ["-i", "-t", "fuse.juicefs", "-o", all, source, target], {
    stdio: ["ignore", "ignore", "pipe", fd],
  });
  await succeeded(child, `Cannot mount on "${target}"`);
}

/** A file system in memory, for root only. */
export async function mountTmpfs(target: string, bytes: number): Promise<void> {
  await runMount(["-t", "tmpfs", "-o", `size=${bytes},mode=0700`, "juicefs", target]);
}

/**
 * Any other work of mount(8), such as a bind. Paths are taken as they are: to look at a dead mount would fail.
 *
 * @throws Error with what mount(8) said
 */
export async function runMount(args: readonly string[]): Promise<void> {
  const child = spawn("mount", ["-c", "-i", ...args], { stdio: ["ignore", "ignore", "pipe"] });
  await succeeded(child, `Cannot mount on "${args.at(-1) ?? ""}"`);
}

/** Unmounts what lies on top of `target`; lazily where it is in use. */
export async function unmount(target: string, { lazy = false } = {}): Promise<void> {
  const child = spawn("umount", [...(lazy ? ["-l"] : []), "-i", "--", target], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  await succeeded(child, `Cannot unmount "${target}"`);
}

async function succeeded(child: ReturnType<typeof spawn>, action: string): Promise<void> {
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0)
    throw new Error(`${action}: ${said.trim().split("\n")[0] ?? `exit status ${code}`}`);
}

export interface MountPoint {
  /** Of this mount alone, in all namespaces. */
  readonly id: string;
  readonly target: string;
  readonly type: string;
  readonly source: string;
  /** `major:minor`; equal where one file system is mounted twice. */
  readonly device: string;
}

/** What is mounted where, in order of mounting; read without touching any mount. */
export function mountPoints(): MountPoint[] {
  return parseMountInfo(readFileSync("/proc/self/mountinfo", "utf8"));
}

/** @param text as proc(5) describes it */
export function parseMountInfo(text: string): MountPoint[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [before = "", after = ""] = line.split(" - ");
      const [id = "", , device = "", , target = ""] = before.split(" ");
      const [type = "", source = ""] = after.split(" ");
      return { id, target: unescape(target), type, source: unescape(source), device };
    });
}

/** True when something of ours is mounted on `target`. */
export function isMounted(target: string): boolean {
  return mountPoints().findLast((point) => point.target === target)?.type === "fuse.juicefs";
}

/** The kernel writes blanks and the like as octal. */
function unescape(text: string): string {
  return text.replaceAll(/\\(\d{3})/g, (_, digits: string) =>
    String.fromCharCode(parseInt(digits, 8)),
  );
}
