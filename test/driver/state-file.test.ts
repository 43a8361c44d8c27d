import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { z } from "zod";
import { readOrMakeKey, StateFile } from "../../src/driver/state-file.ts";
import { log } from "../../src/base/log.ts";
import { makeFolder } from "../support/folder.ts";

log.level = "silent";

const Numbers = z.object({ numbers: z.array(z.number()) });

function stateFile(folder: string): StateFile<z.infer<typeof Numbers>> {
  return new StateFile(join(folder, "state.json"), Numbers);
}

test("what was saved is there, for root only", async () => {
  await using folder = await makeFolder();
  await stateFile(folder.path).save(() => ({ numbers: [1] }));
  assert.deepEqual(stateFile(folder.path).load(), { numbers: [1] });
  assert.equal(statSync(join(folder.path, "state.json")).mode & 0o777, 0o600);
});

test("nothing was saved: nothing is there", async () => {
  await using folder = await makeFolder();
  assert.equal(stateFile(folder.path).load(), undefined);
});

test("however much of a file was written, the state before or after it is found", async () => {
  await using folder = await makeFolder();
  const file = stateFile(folder.path);
  await file.save(() => ({ numbers: [1, 2, 3] }));
  await file.save(() => ({ numbers: [4, 5, 6] }));
  const path = join(folder.path, "state.json");
  const whole = readFileSync(path);
  const last = readFileSync(`${path}.last`);
  const torn = [
    ...Array.from({ length: whole.length - 1 }, (_, length) => whole.subarray(0, length)),
    Buffer.alloc(whole.length),
    Buffer.from(whole.map((byte, at) => (at === whole.length - 6 ? byte ^ 1 : byte))),
  ];
  for (const bytes of torn) {
    writeFileSync(path, bytes);
    writeFileSync(`${path}.last`, last);
    assert.deepEqual(stateFile(folder.path).load(), { numbers: [1, 2, 3] });
  }
});

test("a version before that had to be used stays until there is a newer one beside it", async () => {
  await using folder = await makeFolder();
  const file = stateFile(folder.path);
  for (const number of [1, 2]) await file.save(() => ({ numbers: [number] }));
  const path = join(folder.path, "state.json");
  writeFileSync(path, "torn");
  assert.deepEqual(file.load(), { numbers: [1] });
  await file.save(() => ({ numbers: [3] }));
  writeFileSync(path, "torn again");
  assert.deepEqual(stateFile(folder.path).load(), { numbers: [1] });
});

test("what cannot be read is put aside, not thrown away", async () => {
  await using folder = await makeFolder();
  const path = join(folder.path, "state.json");
  for (const name of [path, `${path}.last`]) writeFileSync(name, "no state");
  assert.equal(stateFile(folder.path).load(), undefined);
  const aside = readdirSync(folder.path).filter((name) => name.includes(".bad-"));
  assert.equal(aside.length, 2);
  assert.equal(readFileSync(join(folder.path, aside[0] ?? ""), "utf8"), "no state");
});

test("savers that come while one writes all find their change saved", async () => {
  await using folder = await makeFolder();
  const file = stateFile(folder.path);
  const numbers: number[] = [];
  await Promise.all(
    Array.from({ length: 50 }, async (_, number) => {
      numbers.push(number);
      await file.save(() => ({ numbers: [...numbers] }));
      const saved = stateFile(folder.path).load();
      assert.ok(saved?.numbers.includes(number));
    }),
  );
});

test("a folder that takes nothing is told in one sentence, and the state stays", async () => {
  await using folder = await makeFolder();
  const file = stateFile(join(folder.path, "state.json", "folder"));
  writeFileSync(join(folder.path, "state.json"), "");
  await assert.rejects(
    file.save(() => ({ numbers: [] })),
    /^Error: Cannot save to "[^"]+": \w+$/,
  );
});

test("a key is made once and is for root only", async () => {
  await using folder = await makeFolder();
  const path = join(folder.path, "key");
  const key = await readOrMakeKey(path);
  assert.equal(key.length, 32);
  assert.deepEqual(await readOrMakeKey(path), key);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});
