import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { endProcesses, startProcess, type TestProcess } from "../posix/support/process.ts";
import { makeFolder } from "../support/folder.ts";
import { formatTestVolume, mountOfficial, mountVolume } from "../support/mount.ts";
import { mountPair } from "../support/pair.ts";
import { until } from "../support/process.ts";
import { Random } from "../support/random.ts";
import { checkVolume } from "./check-volume.ts";
import { outcome, randomOperation, treeOf, type Worker } from "./operations.ts";

/**
 * Random operations by several processes on two mounts, each compared with the same on a native file system. `JUICEFS_TEST_SEED`
 * and `JUICEFS_TEST_STEPS` choose others and more.
 */

const SEED = Number(process.env["JUICEFS_TEST_SEED"] ?? Date.now() % 1_000_000);
const STEPS = Number(process.env["JUICEFS_TEST_STEPS"] ?? 400);
/** Operations of one process before another one goes on. */
const TURN = 8;

after(endProcesses);

/** The same process twice: on a mount, and on the native file system. */
interface Twins {
  readonly real: Worker;
  readonly model: Worker;
}

async function twins(mount: string, model: string): Promise<Twins> {
  const worker = (me: TestProcess, root: string): Worker => ({ me, root, open: [] });
  return {
    real: worker(await startProcess(), mount),
    model: worker(await startProcess(), model),
  };
}

/** @throws AssertionError with everything that led there */
async function step({ real, model }: Twins, random: Random, log: string[]): Promise<void> {
  const operation = randomOperation(random);
  const [is, should] = [await outcome(operation.run(real)), await outcome(operation.run(model))];
  log.push(`${real.root}: ${operation.text}: ${JSON.stringify(should)}`);
  assert.deepEqual(is, should, `seed ${SEED}, step ${log.length}\n${log.slice(-60).join("\n")}`);
}

async function closeAll({ me, open }: Worker): Promise<void> {
  for (const fd of open) if (fd !== undefined) await me.close(fd);
}

test("processes that take turns on two mounts see what one file system would show them", async (t) => {
  t.diagnostic(`JUICEFS_TEST_SEED=${SEED}`);
  await using native = await makeFolder();
  await using pair = await mountPair({ format: ["--trash-days", "0"] });
  const { one, two, volume } = pair;
  const folders = [one, two].map(({ path }) => join(path, "work"));
  mkdirSync(join(one.path, "work"));
  const all = await Promise.all([0, 1, 0, 1].map((at) => twins(folders[at] ?? "", native.path)));
  const random = new Random(SEED);
  const log: string[] = [];
  for (let turn = 0; turn * TURN < STEPS; turn++) {
    const at = random.below(all.length);
    const [mine, other] = at % 2 === 0 ? [one.path, two.path] : [two.path, one.path];
    for (let count = 0; count < TURN; count++) {
      const next = all[at];
      if (next !== undefined) await step(next, random, log);
    }
    // What the other mount hears it hears in order.
    mkdirSync(join(mine, `turn${turn}`));
    await until("the turn is seen", () => existsSync(join(other, `turn${turn}`)));
  }
  for (const { real, model } of all) await Promise.all([closeAll(real), closeAll(model)]);
  const expected = await treeOf(all[0]?.model.me as TestProcess, native.path);
  for (const [at, folder] of folders.entries()) {
    assert.deepEqual(await treeOf(all[at]?.real.me as TestProcess, folder), expected);
  }
  await Promise.all([one.unmount(), two.unmount()]);
  await checkVolume(volume.metaUrl);
});

/** Each process in a folder of its own, all at once. */
async function workAtOnce(mounts: readonly string[], model: string): Promise<Twins[]> {
  return Promise.all(
    mounts.map(async (mount, at) => {
      const folders = [join(mount, `work${at}`), join(model, `work${at}`)] as const;
      for (const folder of folders) mkdirSync(folder);
      const both = await twins(...folders);
      const random = new Random(SEED + at);
      const log: string[] = [];
      for (let count = 0; count < STEPS / 2; count++) await step(both, random, log);
      await Promise.all([closeAll(both.real), closeAll(both.model)]);
      return both;
    }),
  );
}

for (const other of ["ours", "the official client's"] as const) {
  test(`processes at once on a mount and on one of ${other} have each what a file system would give them`, async (t) => {
    t.diagnostic(`JUICEFS_TEST_SEED=${SEED}`);
    await using native = await makeFolder();
    await using volume = await formatTestVolume({ format: ["--trash-days", "0"] });
    await using one = await mountVolume(volume);
    await using two =
      other === "ours"
        ? await mountVolume(volume)
        : await mountOfficial(volume, ["--enable-xattr", "--backup-meta", "0"]);
    const all = await workAtOnce([one.path, two.path, one.path, two.path], native.path);
    for (const { real, model } of all) {
      const expected = await treeOf(model.me, model.root);
      for (const { path } of [one, two]) {
        const root = join(path, real.root.slice(real.root.lastIndexOf("/")));
        await until(`${root} is seen`, () => existsSync(root));
        assert.deepEqual(await treeOf(real.me, root), expected);
      }
    }
    const theirs =
      other === "ours" ? [] : [1, 3].flatMap((at) => directoriesIn(join(one.path, `work${at}`)));
    await Promise.all([one.unmount(), two.unmount()]);
    await checkVolume(volume.metaUrl, new Set(theirs));
  });
}

/** The inodes of a directory and of those below it. */
function directoriesIn(path: string): number[] {
  const entries = readdirSync(path, { withFileTypes: true, recursive: true });
  const below = entries.filter((entry) => entry.isDirectory());
  return [path, ...below.map(({ parentPath, name }) => join(parentPath, name))].map(
    (folder) => statSync(folder).ino,
  );
}
