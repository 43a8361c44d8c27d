import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { O_CREAT, O_EXCL, O_WRONLY } from "../posix/support/calls.ts";
import { endProcesses, startProcess, type TestProcess } from "../posix/support/process.ts";
import { mountPair } from "../support/pair.ts";
import { until } from "../support/process.ts";
import { Random } from "../support/random.ts";
import { checkVolume } from "./check-volume.ts";
import { outcome } from "./operations.ts";

/** Many processes on two mounts make, move and remove names in one directory, all at once. */

const PROCESSES = 16;
const ROUNDS = Number(process.env["JUICEFS_TEST_STEPS"] ?? 25);
/** Names that everybody is after. */
const SHARED = 5;

after(endProcesses);

interface Contender {
  readonly me: TestProcess;
  readonly folder: string;
  readonly name: string;
  readonly random: Random;
}

async function make({ me, folder }: Contender, name: string): Promise<void> {
  const fd = await me.open(join(folder, name), O_CREAT | O_EXCL | O_WRONLY, 0o644);
  await me.write(fd, Buffer.from(name));
  await me.close(fd);
}

/** What is to be there in the end of what is this process's own, and what became of its attempts at shared names. */
async function contend(who: Contender): Promise<{ own: string[]; codes: Set<unknown> }> {
  const { me, folder, name, random } = who;
  const own: string[] = [];
  const codes = new Set<unknown>();
  for (let round = 0; round < ROUNDS; round++) {
    const [first, second] = [`${name}-${round}`, `${name}-${round}-moved`];
    await make(who, first);
    await me.rename(join(folder, first), join(folder, second));
    const shared = join(folder, `shared${random.below(SHARED)}`);
    switch (random.below(4)) {
      case 0:
        await me.unlink(join(folder, second));
        break;
      case 1:
        // Whatever was there is replaced: that never fails.
        await me.rename(join(folder, second), shared);
        break;
      case 2:
        codes.add(await outcome(me.link(join(folder, second), shared)));
        own.push(second);
        break;
      default:
        codes.add(await outcome(me.unlink(shared)));
        own.push(second);
    }
  }
  return { own, codes };
}

test("sixteen processes on two mounts work in one directory: no name is lost, and nothing fails but what somebody else was quicker with", async () => {
  await using pair = await mountPair({ format: ["--trash-days", "0"] });
  const { one, two, volume } = pair;
  mkdirSync(join(one.path, "d"));
  await until("the directory is seen", () => readdirSync(two.path).includes("d"));
  const contenders = await Promise.all(
    Array.from({ length: PROCESSES }, async (_, at) => ({
      ...{ me: await startProcess(), folder: join((at % 2 === 0 ? one : two).path, "d") },
      ...{ name: `p${at}`, random: new Random(at) },
    })),
  );
  const results = await Promise.all(contenders.map(contend));
  for (const { codes } of results) {
    for (const code of codes)
      assert.ok(["done", "ENOENT", "EEXIST"].includes(String(code)), String(code));
  }
  const expected = results.flatMap(({ own }) => own).toSorted();
  for (const { path } of [one, two]) {
    const own = (): string[] =>
      readdirSync(join(path, "d")).filter((name) => !name.startsWith("s"));
    await until("every name is seen", () => own().length === expected.length);
    assert.deepEqual(own().toSorted(), expected);
    for (const name of expected) {
      assert.equal(`${readFileSync(join(path, "d", name), "utf8")}-moved`, name);
    }
  }
  await Promise.all([one.unmount(), two.unmount()]);
  await checkVolume(volume.metaUrl);
});
