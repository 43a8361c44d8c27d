import assert from "node:assert/strict";
import { test } from "node:test";
import { ROOT_INO, TYPE_FILE } from "../../src/meta/limits.ts";
import { makeVolume, ROOT_CALLER } from "../support/meta.ts";
import { until } from "../support/process.ts";
import { startProxy } from "../support/tcp-proxy.ts";

/** What the kernel asks a successor once more is answered from what was kept, by its number. */

const [FIRST, SECOND] = [Buffer.from("first"), Buffer.from("second")];

test("a removal and a rename that a successor is asked for again tell which inodes lost a name, and are not done again", async () => {
  await using volume = await makeVolume({ trashDays: 0 });
  const { meta } = await volume.open();
  const node = { type: TYPE_FILE, mode: 0o644, umask: 0 };
  const [moved, replaced] = [
    await meta.create(ROOT_CALLER, ROOT_INO, FIRST, node),
    await meta.create(ROOT_CALLER, ROOT_INO, SECOND, node),
  ];
  const renaming = { ...ROOT_CALLER, unique: 4n };
  const removing = { ...ROOT_CALLER, unique: 6n };
  const names = { fromParent: ROOT_INO, fromName: FIRST, toParent: ROOT_INO, toName: SECOND };
  await meta.rename(renaming, { ...names, flags: 0, knownFrom: moved.ino, knownTo: replaced.ino });
  await meta.unlink(removing, ROOT_INO, SECOND, moved.ino);
  // Whoever made the names anew meanwhile keeps them.
  const other = (await volume.open()).meta;
  await other.create(ROOT_CALLER, ROOT_INO, FIRST, node);
  await other.create(ROOT_CALLER, ROOT_INO, SECOND, node);

  const successor = (await volume.open({ sid: meta.sid })).meta;
  const renamed = await successor.rename(renaming, { ...names, flags: 0 });
  const removed = await successor.unlink(removing, ROOT_INO, SECOND);

  assert.deepEqual(
    [renamed.ino, renamed.target?.ino, renamed.target?.gone],
    [moved.ino, replaced.ino, true],
  );
  assert.deepEqual([removed.ino, removed.gone], [moved.ino, true]);
  const { entries } = await successor.readdir(ROOT_INO, "0", false);
  assert.deepEqual(entries.map(({ name }) => name.toString()).toSorted(), ["first", "second"]);
});

test("an extended attribute that a successor is asked to make or to remove again is answered as it was", async () => {
  await using volume = await makeVolume();
  const { meta } = await volume.open();
  const node = { type: TYPE_FILE, mode: 0o644, umask: 0 };
  const { ino } = await meta.create(ROOT_CALLER, ROOT_INO, FIRST, node);
  const [made, removed] = [Buffer.from("user.made"), Buffer.from("user.removed")];
  const once = { value: Buffer.from("value"), flags: 1 };
  await meta.setxattr(ino, removed, once);
  await meta.setxattr(ino, made, once, 4n);
  await meta.removexattr(ino, removed, 6n);

  const successor = (await volume.open({ sid: meta.sid })).meta;
  await successor.setxattr(ino, made, once, 4n);
  await successor.removexattr(ino, removed, 6n);

  assert.deepEqual(await successor.listxattr(ino), [made]);
});

test("a request that changes length and mode changes both, when the connection is lost between them", async () => {
  await using volume = await makeVolume();
  await using proxy = await startProxy(volume.server.port);
  const { meta } = await volume.open({}, `redis://127.0.0.1:${proxy.port}/1`);
  const node = { type: TYPE_FILE, mode: 0o644, umask: 0 };
  const { ino } = await meta.create(ROOT_CALLER, ROOT_INO, FIRST, node);
  const caller = { ...ROOT_CALLER, unique: 8n };
  const generation = (): Promise<string | null> => volume.redis.hget(`answers${meta.sid}`, "gen");
  const before = await generation();
  await meta.truncate(caller, ino, 10);
  proxy.cut();
  await until("the session taken over", async () => (await generation()) !== before);
  await meta.getattr(ino);
  await meta.setattr(caller, ino, { mode: 0o600 });

  const { length, mode } = await meta.getattr(ino);
  assert.deepEqual([length, mode], [10, 0o600]);
});
