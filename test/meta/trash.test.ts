import assert from "node:assert/strict";
import { test } from "node:test";
import { ROOT_INO, TRASH_INO, TYPE_FILE } from "../../src/meta/limits.ts";
import { makeVolume, ROOT_CALLER } from "../support/meta.ts";

const [EXCHANGE, WHITEOUT] = [2, 4];

test("what lies in the trash can be moved out, and leaves nothing there under its name", async () => {
  await using volume = await makeVolume({ trashDays: 1 });
  const { meta } = await volume.open();
  const file = { type: TYPE_FILE, mode: 0o644, umask: 0 };
  const [removed, other] = [Buffer.from("removed"), Buffer.from("other")];
  const { ino } = await meta.create(ROOT_CALLER, ROOT_INO, removed, file);
  await meta.create(ROOT_CALLER, ROOT_INO, other, file);
  await meta.unlink(ROOT_CALLER, ROOT_INO, removed, ino);
  const [hour] = (await meta.readdir(TRASH_INO, "0", false)).entries;
  const name = Buffer.from(`1-${ino}-removed`);
  const out = { fromParent: hour?.ino ?? 0n, fromName: name, toParent: ROOT_INO };

  for (const [flags, toName] of [
    [EXCHANGE, other],
    [WHITEOUT, removed],
  ] as const) {
    const moving = meta.rename(ROOT_CALLER, { ...out, toName, flags });
    await assert.rejects(moving, { code: "EPERM" });
  }
  await meta.rename(ROOT_CALLER, { ...out, toName: removed, flags: 0 });

  assert.equal((await meta.lookup(ROOT_INO, removed)).ino, ino);
  assert.deepEqual((await meta.readdir(hour?.ino ?? 0n, "0", false)).entries, []);
});
