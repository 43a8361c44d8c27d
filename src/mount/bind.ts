import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { mountPoints, parseMountInfo, runMount, unmount, type MountPoint } from "../fuse/mount.ts";

/**
 * Mounts shown a second time, where containers find them.
 *
 * A volume is mounted at a private place and bound to `<points>/<name>`. The folder `points` is a mount that propagates:
 * what is bound on top of a container's volume later is seen by that container too, so a dead mount is healed by binding a
 * fresh one over it. The folders below it lie on a small tmpfs that is writable at a private place and read-only here: while
 * no volume is bound nobody, not even root, can write where it should be.
 */

const POINTS_SOURCE = "juicefs-volumes";

export interface PointsFolders {
  /** Where containers find the volumes. */
  readonly points: string;
  /** A folder of our own for what nobody else needs to see. */
  readonly private: string;
}

/** The topmost mount there, without touching it. */
export function topMount(target: string): MountPoint | undefined {
  return mountPoints().findLast((point) => point.target === target);
}

/** Every mount below a folder, in order of mounting. */
export function mountsBelow(folder: string): MountPoint[] {
  return mountPoints().filter(({ target }) => target.startsWith(`${folder}/`));
}

/** Makes both folders what they must be, or leaves them so. An earlier life's points are taken over with what is bound there. */
export async function preparePoints(folders: PointsFolders): Promise<void> {
  await preparePrivate(folders.private);
  const writable = writableView(folders);
  if (!showsPoints(folders)) {
    await makePoints(folders);
    return;
  }
  if (topMount(writable)?.device === topMount(folders.points)?.device) return;
  mkdirSync(writable, { recursive: true });
  await runMount(["--bind", folders.points, writable]);
  await runMount(["--make-private", writable]);
  await runMount(["-o", "remount,bind,rw", writable]);
}

/** Whether the folder of the points is what `preparePoints` made of it. */
export function showsPoints({ points }: PointsFolders): boolean {
  return topMount(points)?.source === POINTS_SOURCE;
}

/** Takes both folders away, unless something is bound or mounted below them. */
export async function removePoints(folders: PointsFolders): Promise<void> {
  const writable = writableView(folders);
  const others = [...mountsBelow(folders.points), ...mountsBelow(folders.private)];
  if (others.some(({ target }) => target !== writable)) return;
  for (const folder of [folders.points, writable, folders.private]) await unbindAll(folder);
}

/** Makes the place where a volume of that name is bound. @returns its path */
export function makePoint(folders: PointsFolders, name: string): string {
  mkdirSync(join(writableView(folders), name), { recursive: true, mode: 0o000 });
  return join(folders.points, name);
}

export function removePoint(folders: PointsFolders, name: string): void {
  if (topMount(join(folders.points, name)) !== undefined) return;
  removeFolder(join(writableView(folders), name));
}

/** Shows what is mounted at `from` on top of `to` as well. Neither is looked at: what lies there may be dead. */
export async function bindMount(from: string, to: string): Promise<void> {
  await runMount(["--bind", from, to]);
}

/** Takes away every layer that is bound there; containers that hold one keep it. */
export async function unbindAll(target: string): Promise<void> {
  while (topMount(target) !== undefined) {
    await unmount(target).catch(() => unmount(target, { lazy: true }));
  }
}

/** Removes a folder that nothing is mounted on and nothing lies in. */
export function removeFolder(path: string): void {
  if (topMount(path) !== undefined) return;
  try {
    rmdirSync(path);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (!["ENOENT", "ENOTEMPTY", "EBUSY"].includes(code)) throw error;
  }
}

/**
 * How many mount namespaces other than ours hold a file system, among the processes that can be seen. A namespace is known by
 * its first mount: its own name would be waited for while a process of it is being started from a mount that does not answer.
 */
export function holdersElsewhere(device: string): number {
  const seen = new Set([mountPoints()[0]?.id]);
  let holders = 0;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const mounts = parseMountInfo(readFileSync(`/proc/${pid}/mountinfo`, "utf8"));
      const namespace = mounts[0]?.id;
      if (seen.has(namespace)) continue;
      seen.add(namespace);
      if (mounts.some((mount) => mount.device === device)) holders++;
    } catch {
      // The process has ended.
    }
  }
  return holders;
}

const run = promisify(execFile);
const PROBE_MS = 5000;

export interface Probe {
  /** Nobody serves it any more and nobody will. */
  readonly dead: boolean;
  readonly usedBytes?: number;
  readonly totalBytes?: number;
}

/** Looks at a file system from a process that may hang in its stead. What does not answer in time is not dead. */
export async function probeMount(path: string): Promise<Probe> {
  try {
    const { stdout } = await run("stat", ["-f", "-c", "%S %b %f", path], {
      ...{ timeout: PROBE_MS, env: { ...process.env, LC_ALL: "C" } },
    });
    const [blockBytes = 0, blocks = 0, free = 0] = stdout.trim().split(" ").map(Number);
    const totalBytes = blockBytes * blocks;
    return { dead: false, totalBytes, usedBytes: totalBytes - blockBytes * free };
  } catch (error) {
    const { stderr = "" } = error as { stderr?: string };
    return { dead: /not connected|connection abort/i.test(stderr) };
  }
}

async function preparePrivate(folder: string): Promise<void> {
  if (topMount(folder) !== undefined) return;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  await runMount(["-t", "tmpfs", "-o", "size=16m,mode=0700", "juicefs-private", folder]);
  await runMount(["--make-private", folder]);
}

async function makePoints(folders: PointsFolders): Promise<void> {
  const writable = writableView(folders);
  const sealed = join(folders.private, "sealed");
  for (const folder of [writable, sealed, folders.points]) mkdirSync(folder, { recursive: true });
  await unbindAll(writable);
  await runMount(["-t", "tmpfs", "-o", "size=1m,mode=0755", POINTS_SOURCE, writable]);
  await runMount(["--make-private", writable]);
  // Read-only before it is shown: the copies that propagate are made as it is then.
  await runMount(["--bind", writable, sealed]);
  await runMount(["-o", "remount,bind,ro", sealed]);
  await bindMount(sealed, folders.points);
  await runMount(["--make-shared", folders.points]);
  await unmount(sealed);
}

function writableView(folders: PointsFolders): string {
  return join(folders.private, "points");
}
