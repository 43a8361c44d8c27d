import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  lstatSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  F_SETLK,
  F_SETLKW,
  F_UNLCK,
  F_WRLCK,
  LOCK_EX,
  LOCK_NB,
  LOCK_UN,
  O_CREAT,
  O_RDWR,
  RENAME_NOREPLACE,
  S_IFSOCK,
} from "../posix/support/calls.ts";
import { endProcesses, startProcess, type TestProcess } from "../posix/support/process.ts";
import {
  formatTestVolume,
  juicefs,
  mountOfficial,
  mountVolume,
  officialJuicefs,
  type TestMount,
  type TestVolumeOnDisk,
} from "../support/mount.ts";
import { until } from "../support/process.ts";
import { Random } from "../support/random.ts";

/** Our mount and one of the official client, on one volume at the same time. */

const STEPS = 200;
/** What may come of it when somebody else does the same. */
const USUAL = new Set([
  "ENOENT",
  "EEXIST",
  "ENOTEMPTY",
  "ENOTDIR",
  "EISDIR",
  "EINVAL",
  "ELOOP",
  "ENXIO",
  "EPERM",
]);

after(endProcesses);

interface Both extends AsyncDisposable {
  readonly volume: TestVolumeOnDisk;
  readonly ours: TestMount;
  readonly official: TestMount;
}

async function mountBoth(format: readonly string[]): Promise<Both> {
  const stack = new AsyncDisposableStack();
  const volume = stack.use(await formatTestVolume({ official: true, format }));
  const ours = stack.use(await mountVolume(volume));
  const official = stack.use(await mountOfficial(volume, ["--enable-xattr"]));
  return { volume, ours, official, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** So often in some hundred steps at most. */
const STALE_MAX = 3;
let stale = 0;

function isUsual(code: string, official: boolean): boolean {
  // The official client forgets what it has open, or just looked up, when somebody else removes it.
  if (official) return code === "EBADF" || code === "ESTALE";
  // The kernel says so itself of a directory that somebody else moved, while it moves another one.
  return code === "ESTALE" && ++stale <= STALE_MAX;
}

/** One step of somebody who does anything anywhere. */
async function anything(me: TestProcess, at: string, random: Random): Promise<void> {
  // Symlinks have names of their own: the official client counts a hard link to one wrong. It writes only to files that keep their
  // one name: what it writes to a removed file it counts in the folder that had it, and of a file with several names it looks only
  // afterwards in which folders they count, and somebody may have moved them by then. It replaces nothing: what somebody else removed
  // before it, so that it had to begin anew, it counts as removed once more.
  const name = (letter = "n"): string => {
    const folder = ["", "a", "b", "a/c"][random.below(4)] ?? "";
    return join(at, folder, `${letter}${random.below(12)}`);
  };
  const letter = ["s", "h", "n", "n"][random.below(4)] ?? "";
  const official = at.includes("official");
  const written = official ? "w" : (["n", "n", "h", "w"][random.below(4)] ?? "");
  const steps: (() => Promise<unknown>)[] = [
    async () => {
      const fd = await me.open(name(written), O_RDWR | O_CREAT, 0o644);
      try {
        await me.pwrite(fd, random.bytes(random.size(40_000)), random.below(100_000));
        if (random.below(3) === 0) await me.ftruncate(fd, random.below(80_000));
      } finally {
        await me.close(fd);
      }
    },
    () => me.mkdir(name()),
    () => me.renameat2(name(letter), name(letter), official ? RENAME_NOREPLACE : 0),
    () => me.unlink(name(letter)),
    () => me.rmdir(name()),
    () => me.link(name("h"), name("h")),
    () => me.symlink(`n${random.below(12)}`, name("s")),
    () => me.chmod(name(letter), 0o600 + random.below(64)),
    () => me.setxattr(name(letter), "user.a", random.bytes(10)),
    () => me.truncate(name(written), random.below(50_000)),
    () => me.mknod(name(), S_IFSOCK | 0o600),
  ];
  const step = steps[random.below(steps.length)];
  try {
    await step?.();
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (!USUAL.has(code) && !isUsual(code, official)) throw error;
  }
}

/** Everything that a tree shows. */
async function tree(at: string): Promise<string[]> {
  // Without the files that the official client shows in its root.
  const all = await readdir(at, { recursive: true });
  const names = all.filter((name) => !name.startsWith(".")).toSorted();
  return Promise.all(
    names.map(async (name) => {
      const { mode, size, nlink } = lstatSync(join(at, name), { throwIfNoEntry: false }) ?? {
        ...{ mode: 0, size: 0, nlink: 0 },
      };
      const file = (mode & 0o170000) === 0o100000;
      const content = file ? (await readFile(join(at, name))).toString("base64") : "";
      return `${name} ${mode.toString(8)} ${file ? size : 0} ${nlink} ${content}`;
    }),
  );
}

/** Neither client finds anything wrong, nor anything that is not counted right. */
async function requireSound({ metaUrl }: TestVolumeOnDisk): Promise<void> {
  const all = ["--path", "/", "-r", "--sync-dir-stat"];
  const { stdout } = await juicefs("fsck", metaUrl, ...all).catch(
    (error: unknown) => error as { stdout: string },
  );
  assert.deepEqual((JSON.parse(stdout) as { problems: unknown[] }).problems, []);
  for (const args of [[], all]) {
    const { stderr } = await officialJuicefs("fsck", metaUrl, ...args);
    // What it says about any test server and folder.
    const usual = /^.*(AOF is not enabled|Set storage tier: not supported).*$/gm;
    assert.doesNotMatch(stderr.replaceAll(usual, ""), /<(ERROR|FATAL|WARNING)>/);
  }
}

test("anything done on both mounts at once leaves a volume that both clients find sound, and read the same", async () => {
  await using both = await mountBoth(["--trash-days", "0"]);
  const { volume, ours, official } = both;
  for (const name of ["a", "b", "a/c"]) {
    await using me = await startProcess();
    await me.mkdir(join(ours.path, name));
  }
  await until("the folders are seen", () => existsSync(join(official.path, "a/c")));
  await Promise.all(
    [ours, official, ours, official].map(async ({ path }, worker) => {
      await using me = await startProcess();
      const random = new Random(worker + 1);
      for (let step = 0; step < STEPS; step++) await anything(me, path, random);
    }),
  );
  let [mine, other]: string[][] = [[], []];
  await until("both show the same", async () => {
    [mine, other] = [await tree(ours.path), await tree(official.path)];
    return mine.join("\n") === other.join("\n");
  });
  assert.ok((mine?.length ?? 0) > 10, `${mine?.length} names`);
  await ours.unmount();
  await official.unmount();
  await requireSound(volume);
});

test("each sees what the other does, within the time that the official client keeps things", async (t) => {
  await using both = await mountBoth(["--trash-days", "0"]);
  const { ours, official } = both;
  for (const [who, here, there] of [
    ["here what the official client does", official, ours],
    ["there what is done here", ours, official],
  ] as const) {
    const name = who.replaceAll(" ", "-");
    const path = join(here.path, name);
    const seen = join(there.path, name);
    const times: number[] = [];
    const soon = async (what: string, see: () => boolean): Promise<void> => {
      const begun = performance.now();
      await until(what, see, 10_000);
      times.push(performance.now() - begun);
    };
    assert.equal(existsSync(seen), false);
    writeFileSync(path, "one");
    await soon("a new name", () => existsSync(seen) && readFileSync(seen, "utf8") === "one");
    chmodSync(path, 0o600);
    await soon("a mode", () => (statSync(seen).mode & 0o777) === 0o600);
    writeFileSync(path, "another");
    await soon("new data", () => readFileSync(seen, "utf8") === "another");
    unlinkSync(path);
    await soon("a removal", () => !existsSync(seen));
    t.diagnostic(`${who}: seen after ${Math.max(...times).toFixed(0)} ms at most`);
  }
});

test("locks count between both clients, and a waiter here is woken by the other", async (t) => {
  await using both = await mountBoth([]);
  const { ours, official } = both;
  writeFileSync(join(ours.path, "f"), "content");
  await until("the file is seen", () => existsSync(join(official.path, "f")));
  await using one = await startProcess();
  await using two = await startProcess();
  const mine = await one.open(join(ours.path, "f"), O_RDWR);
  const other = await two.open(join(official.path, "f"), O_RDWR);

  await two.flock(other, LOCK_EX);
  await assert.rejects(one.flock(mine, LOCK_EX | LOCK_NB), { code: "EAGAIN" });
  const flocked = one.flock(mine, LOCK_EX);
  await two.flock(other, LOCK_UN);
  let begun = performance.now();
  await flocked;
  t.diagnostic(`flock: woken after ${(performance.now() - begun).toFixed(0)} ms`);
  await assert.rejects(two.flock(other, LOCK_EX | LOCK_NB), { code: "EAGAIN" });
  await one.flock(mine, LOCK_UN);

  await two.lock(other, F_SETLK, F_WRLCK, 0, 10);
  await assert.rejects(one.lock(mine, F_SETLK, F_WRLCK, 9, 10), { code: "EAGAIN" });
  const ranged = one.lock(mine, F_SETLKW, F_WRLCK, 9, 10);
  await two.lock(other, F_SETLK, F_UNLCK, 0, 10);
  begun = performance.now();
  await ranged;
  t.diagnostic(`range: woken after ${(performance.now() - begun).toFixed(0)} ms`);
  await assert.rejects(two.lock(other, F_SETLK, F_WRLCK, 0, 10), { code: "EAGAIN" });
  await one.close(mine);
  await two.close(other);
});
