import assert from "node:assert/strict";
import { test } from "node:test";
import { ToldNames } from "../../src/vfs/told-names.ts";

test("a name is told with the number it had first, among many that differ little", () => {
  const told = new ToldNames();
  const names = Array.from({ length: 300_000 }, (_, at) => Buffer.from(`file-${at}`));
  for (const [at, name] of names.entries()) assert.equal(told.tell(name, at + 1), at + 1);
  for (const [at, name] of names.entries()) assert.equal(told.tell(name, 1_000_000), at + 1);
  assert.equal(told.tell(Buffer.from("another"), 7), 7);
  assert.equal(told.tell(Buffer.from([0xff, 0]), 8), 8);
  assert.equal(told.tell(Buffer.from([0xff]), 9), 9);
  told.clear();
  assert.equal(told.tell(Buffer.from("file-0"), 5), 5);
});
