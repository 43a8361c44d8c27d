import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { CacheIndex, type Eviction } from "../../src/chunk/eviction.ts";

type Step =
  | { readonly do: "add" | "touch"; readonly key: string; readonly at: number }
  | { readonly do: "remove" | "keep" | "release"; readonly key: string }
  | { readonly do: "victim" };

const key = fc.integer({ min: 0, max: 30 }).map(String);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom("add" as const, "touch" as const), key, at: fc.nat(1000) }),
  fc.record({ do: fc.constantFrom("remove" as const, "keep" as const, "release" as const), key }),
  fc.record({ do: fc.constant("victim" as const) }),
);

function sizeOf(name: string): number {
  return Number(name) * 100;
}

/** The same with plain maps. */
class Model {
  readonly files = new Set<string>();
  readonly kept = new Set<string>();

  take(one: Step): void {
    if (one.do === "add" && !this.kept.has(one.key)) this.files.add(one.key);
    if (one.do === "remove") {
      this.files.delete(one.key);
      this.kept.delete(one.key);
    }
    if (one.do === "keep") {
      this.files.delete(one.key);
      this.kept.add(one.key);
    }
    if (one.do === "release" && this.kept.delete(one.key)) this.files.add(one.key);
  }
}

function takeStep(index: CacheIndex, one: Step): string | undefined {
  if (one.do === "add") index.add(one.key, sizeOf(one.key), one.at);
  if (one.do === "touch") index.touch(one.key, one.at);
  if (one.do === "remove") index.remove(one.key);
  if (one.do === "keep") index.keep(one.key, sizeOf(one.key));
  if (one.do === "release") index.release(one.key, 0);
  return one.do === "victim" ? index.takeVictim()?.key : undefined;
}

for (const eviction of ["2-random", "lru"] as const satisfies Eviction[]) {
  test(`${eviction}: the index knows what lies there, counts it, and gives up nothing that must stay`, () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const index = new CacheIndex(eviction);
        const model = new Model();
        for (const one of steps) {
          const victim = takeStep(index, one);
          if (one.do === "victim") {
            assert.equal(victim === undefined, model.files.size === 0);
            if (victim !== undefined) assert.ok(model.files.delete(victim));
          }
          model.take(one);
          assert.equal(index.count, model.files.size);
          const bytes = [...model.files].reduce((sum, name) => sum + sizeOf(name) + 4096, 0);
          assert.equal(index.bytes, bytes);
          for (const name of [...model.files, ...model.kept]) assert.ok(index.has(name));
        }
      }),
      { numRuns: 200 },
    );
  });
}

test("lru: the one that was used longest ago goes first, whatever was removed in between", () => {
  const index = new CacheIndex("lru");
  for (const name of ["1", "2", "3", "4", "5", "6"]) index.add(name, 10, 0);
  index.touch("1", 0);
  index.remove("3");
  index.touch("2", 0);
  const order = Array.from({ length: 5 }, () => index.takeVictim()?.key);
  assert.deepEqual(order, ["4", "5", "6", "1", "2"]);
});

test("2-random: blocks that are used stay much longer than those that are not", () => {
  const index = new CacheIndex("2-random");
  for (let at = 0; at < 1000; at++) index.add(String(at), 10, at);
  let old = 0;
  for (let taken = 0; taken < 300; taken++) if (Number(index.takeVictim()?.key) < 500) old++;
  assert.ok(old > 180, `${old} of 300`);
});

test("what was not used for long is taken, and what is unseen on disk forgotten", () => {
  const index = new CacheIndex("2-random");
  for (let at = 0; at < 10; at++) index.add(String(at), 10, at);
  index.keep("3", 10);
  const expired = index.takeExpired(5, 100).map(({ key: name }) => name);
  assert.deepEqual(expired.toSorted(), ["0", "1", "2", "4"]);
  index.forgetUnseen(new Set(["5", "6"]));
  assert.deepEqual(
    ["3", "5", "6", "7"].map((name) => index.has(name)),
    [true, true, true, false],
  );
});
