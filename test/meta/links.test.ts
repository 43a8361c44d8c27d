import assert from "node:assert/strict";
import { test } from "node:test";
import { ROOT_INO, TYPE_FILE } from "../../src/meta/limits.ts";
import { makeVolume, ROOT_CALLER } from "../support/meta.ts";

test("a name in the trash is no link, however the attributes are asked for", async () => {
  await using volume = await makeVolume({ trashDays: 1 });
  const { meta } = await volume.open();
  const [one, two] = [Buffer.from("one"), Buffer.from("two")];
  const file = { type: TYPE_FILE, mode: 0o644, umask: 0 };
  const { ino } = await meta.create(ROOT_CALLER, ROOT_INO, one, file);
  await meta.link(ROOT_CALLER, ino, ROOT_INO, two);
  const linked = await meta.getattr(ino);
  assert.equal(linked.nlink, 2);
  const { attr: left } = await meta.unlink(ROOT_CALLER, ROOT_INO, two, ino);
  const [together, missing] = await meta.getattrs([ino, 12_345n]);
  const { entries } = await meta.readdir(ROOT_INO, "0", true);
  const found = await meta.lookup(ROOT_INO, one);
  const all = [left, await meta.getattr(ino), together, entries[0]?.attr, found.attr];
  assert.deepEqual(
    all.map((attr) => attr?.nlink),
    [1, 1, 1, 1, 1],
  );
  assert.equal(missing, undefined);
});
