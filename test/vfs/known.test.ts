import assert from "node:assert/strict";
import { test } from "node:test";
import type { Notice } from "../../src/meta/meta.ts";
import type { Attr } from "../../src/meta/types.ts";
import { TYPE_FILE } from "../../src/meta/limits.ts";
import { Known } from "../../src/vfs/known.ts";
import { DIRECTORY_MAX, type NameRecord } from "../../src/vfs/name-records.ts";
import { until } from "../support/process.ts";

const TIME = { sec: 1_700_000_000, nsec: 0 };
const FILE: Attr = {
  ...{ flags: 0, type: 1, mode: 0o644, uid: 0, gid: 0, nlink: 2, length: 0, rdev: 0, parent: 0n },
  ...{ atime: TIME, mtime: TIME, ctime: TIME, accessAcl: 0, defaultAcl: 0, tier: 0 },
};
const NOTHING: Notice = {
  ...{ attrs: [], entries: [], data: [], slices: [], xattrs: [], directories: [], unexplained: [] },
};
const INO = 20_481n;
/** Notices are counted by a hash of their inode; these two have the same. */
const OTHER = 1n;

test("a change of our own is not forgotten in favour of older attributes when a notice of another inode comes between", () => {
  const known = new Known({ trust: () => "long" });
  known.keepAttr(INO, FILE, known.mark());
  assert.equal(known.attr(INO)?.nlink, 2);

  const sent = known.mark();
  known.changed({ ...NOTHING, attrs: [OTHER] });
  known.attrs.learn(INO, { ...FILE, nlink: 1 }, sent);

  assert.equal(known.attr(INO), undefined, "asked for again");
});

test("a name that had to make room before it was told gets no lifetime: nobody would take it back", async () => {
  const known = new Known({ trust: () => "long" });
  const directory = known.names.directory(7n);
  const listed = (number: number): NameRecord | undefined => {
    const entry = { name: Buffer.from(`${number}`), ino: INO, type: TYPE_FILE };
    return known.names.learnListed(directory, entry, known.mark());
  };
  known.keepAttr(INO, FILE, known.mark());
  const first = listed(0);
  assert.ok(first !== undefined);
  assert.equal(known.names.keeps(first), true);
  for (let number = 1; number < DIRECTORY_MAX; number++) listed(number);
  // Room is made once a second.
  await until("room", () => listed(DIRECTORY_MAX) !== undefined);
  assert.equal(known.names.keeps(first), false);
  assert.equal(known.listed(first), undefined);
});

test("what a process before handed out is taken back, though it is known here and was not handed out", () => {
  const told: string[] = [];
  const known = new Known({ trust: () => "long", inherited: true });
  known.kernel = {
    attrChanged: (ino) => told.push(`attributes ${ino}`),
    dataChanged: () => undefined,
    entryChanged: (parent, name) => told.push(`name ${parent} ${String(name)}`),
    settled: () => undefined,
  };
  const name = Buffer.from("a");
  known.attrs.learn(INO, FILE, known.mark());
  known.movedEntry(7n, name, INO, known.mark());
  known.changed({ ...NOTHING, attrs: [INO], entries: [{ parent: 7n, name }] });
  assert.deepEqual(told, [`attributes ${INO}`, "name 7 a"]);
});

test("a listing is not shown while answers that crossed leave a name of it in doubt", () => {
  const known = new Known({ trust: () => "long" });
  const { names } = known;
  const directory = names.directory(7n);
  const [name, parent] = [Buffer.from("f"), 7n];
  const sent = known.mark();
  const record = names.learnListed(directory, { name, ino: INO, type: TYPE_FILE }, sent);
  assert.ok(record !== undefined);
  // A look-up that was sent with the listing, and found that somebody had removed the name in between.
  known.keepEntry(parent, name, 0n, sent);
  names.setFull(directory, [record]);
  assert.equal(names.listing(parent), undefined);
  known.changed({ ...NOTHING, entries: [{ parent, name }] });
  assert.equal(names.listing(parent), undefined, "the notice of it tells no more than was known");
  known.keepEntry(parent, name, 0n, known.mark());
  assert.deepEqual(
    names.listing(parent)?.names.map(({ ino }) => ino),
    [0n],
  );
});
