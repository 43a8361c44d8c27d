import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { makeFolder } from "../support/folder.ts";

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL("../../bench/main.ts", import.meta.url));

async function refusal(...args: string[]): Promise<string> {
  const error = await run(process.execPath, [MAIN, ...args]).then(
    () => assert.fail("it succeeded"),
    (failure: unknown) => failure as { code: number; stderr: string },
  );
  assert.equal(error.code, 1);
  return error.stderr;
}

test("any file system can be measured, and nothing is left in it", async () => {
  await using folder = await makeFolder();
  await using results = await makeFolder();
  const json = join(results.path, "results.json");
  const options = ["--mountpoint", folder.path, "--quick", "--rounds", "1", "--json", json];
  const works = "create,rename,unlink-8,ls-l,write-small-8,fsync";

  const { stdout } = await run(process.execPath, [MAIN, ...options, "--only", works]);

  assert.deepEqual(await readdir(folder.path), []);
  assert.match(stdout, /^create \+ close of empty files +[\d,]+ +[\d,]+ /m);
  const { data } = JSON.parse(await readFile(json, "utf8")) as {
    data: Record<string, { work: string; target: string; operations: number; seconds: number }[]>;
  };
  const measured = data[folder.path] ?? [];
  const done = measured.map(({ work, target }) => `${work} ${target}`).toSorted();
  const expected = works.split(",").flatMap((work) => [`${work} mountpoint`, `${work} plain`]);
  assert.deepEqual(done, expected.toSorted());
  assert.ok(measured.every(({ operations, seconds }) => operations > 0 && seconds > 0));
});

test("a wrong option is refused in one sentence", async () => {
  assert.match(
    await refusal("--only", "nothing"),
    /^bench: Cannot use --only "nothing": there is create/,
  );
  assert.match(
    await refusal("--storage", "ftp"),
    /Cannot use --storage "ftp": expected minio or file\n$/,
  );
  assert.match(await refusal("--rounds", "0"), /Cannot use --rounds "0"/);
  assert.match(
    await refusal("--document", "--storage", "file"),
    /Cannot use --document with --storage/,
  );
});
