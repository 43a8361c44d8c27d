import assert from "node:assert/strict";
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { makeFolders, makeFoldersSync } from "../../src/base/make-folders.ts";
import { makeFolder } from "../support/folder.ts";

const makers = {
  makeFolders,
  makeFoldersSync: async (path: string, mode?: number) => makeFoldersSync(path, mode),
};

for (const [name, make] of Object.entries(makers)) {
  test(`${name} makes what is missing and tells the first of it`, async () => {
    await using folder = await makeFolder();
    const path = join(folder.path, "a", "b", "c");
    mkdirSync(join(folder.path, "a"));
    assert.equal(await make(path, 0o700), join(folder.path, "a", "b"));
    assert.equal(statSync(path).mode & 0o777, 0o700);
    assert.equal(await make(path), undefined);
  });

  test(
    `${name} fails where there is a file, or where nothing can be made`,
    { timeout: 5000 },
    async () => {
      await using folder = await makeFolder();
      const file = join(folder.path, "file");
      writeFileSync(file, "");
      await assert.rejects(make(file), { code: "EEXIST" });
      await assert.rejects(make(join(file, "below")), { code: "ENOTDIR" });
      await assert.rejects(make("/proc/none"), { code: "ENOENT" });
      await assert.rejects(make("/proc/none/below"), { code: "ENOENT" });
    },
  );
}
