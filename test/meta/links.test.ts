import assert from "node:assert/strict";
import { test } from "node:test";
import { ROOT_INO, TYPE_FILE } from "../../src/meta/limits.ts";
import { makeVolume, ROOT_CALLER } from "../support/meta.ts";
import { until } from "../support/process.ts";

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

test("a file that gets a name again is kept for its name only, whoever has it open", async () => {
  await using volume = await makeVolume({ trashDays: 0 });
  const [{ meta }, { meta: other }] = [await volume.open(), await volume.open()];
  const name = Buffer.from("name");
  const { ino } = await meta.createNameless(ROOT_CALLER, ROOT_INO, { mode: 0o600, umask: 0 });
  for (const one of [meta, other]) one.openFiles.opened(ino);
  await meta.link(ROOT_CALLER, ino, ROOT_INO, name);
  await meta.unlink(ROOT_CALLER, ROOT_INO, name, ino);
  const keeps = ({ sid }: { sid: bigint }): Promise<number> =>
    volume.redis.sismember(`session${sid}`, ino.toString());
  await until("the other one keeps it", async () => (await keeps(other)) === 1);

  await meta.link(ROOT_CALLER, ino, ROOT_INO, name);

  assert.deepEqual([await keeps(meta), await keeps(other)], [0, 0]);
  assert.equal((await meta.getattr(ino)).nlink, 1);
});
