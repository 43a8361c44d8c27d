import assert from "node:assert/strict";
import { test } from "node:test";
import type { Notice } from "../../src/meta/meta.ts";
import type { Attr } from "../../src/meta/types.ts";
import { Known } from "../../src/vfs/known.ts";

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
