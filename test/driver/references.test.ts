import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { References } from "../../src/driver/references.ts";

test("an ID that was told twice is there until it has left twice", () => {
  const references = new References();
  references.add("a");
  references.add("a");
  references.remove("a");
  assert.equal(references.empty, false);
  references.remove("a");
  assert.equal(references.empty, true);
});

test("an ID that nobody knows may leave", () => {
  const references = new References();
  assert.equal(references.remove("a"), false);
  assert.equal(references.empty, true);
});

test("the same user of a new engine counts once, and goes with one Unmount", () => {
  const references = new References();
  references.add("a");
  references.engineChanged();
  references.add("a");
  references.remove("a");
  assert.equal(references.empty, true);
});

test("copies that were under way when the engine died do not keep a volume in use", () => {
  const references = new References();
  references.add("a");
  references.add("a");
  references.engineChanged();
  references.remove("a");
  assert.equal(references.empty, true);
});

test("only what the new engine has not asked for is stale", () => {
  const references = new References();
  references.add("a");
  references.add("b");
  references.engineChanged();
  references.add("b");
  references.dropStale();
  assert.deepEqual(references.ids, ["b"]);
});

/** An engine's containers: what each has done to a volume that it uses, and what the driver must know of it. */
class Engine {
  readonly references: References;
  readonly #running = new Set<string>();
  /** Running copies into or out of a container. */
  readonly #copies: string[] = [];
  /** Users of a dead engine that were never heard of again. */
  readonly #lost = new Set<string>();

  constructor() {
    this.references = new References();
  }

  start(id: string): void {
    if (this.#running.has(id)) return;
    this.references.add(id);
    this.#running.add(id);
    this.#lost.delete(id);
  }

  stop(id: string): void {
    if (!this.#running.delete(id)) return;
    this.references.remove(id);
  }

  beginCopy(id: string): void {
    if (!this.#running.has(id)) return;
    this.references.add(id);
    this.#copies.push(id);
  }

  endCopy(): void {
    const id = this.#copies.pop();
    if (id !== undefined) this.references.remove(id);
  }

  unknown(id: string): void {
    if (!this.references.ids.includes(id)) this.references.remove(id);
  }

  /** Its containers die with it and no Unmount is sent. */
  die(): void {
    for (const id of [...this.#running, ...this.#copies]) this.#lost.add(id);
    this.#running.clear();
    this.#copies.length = 0;
    this.references.engineChanged();
  }

  /** The driver ends and another one reads what was saved. */
  saved(): References {
    return new References(JSON.parse(JSON.stringify(this.references.save())));
  }

  check(): void {
    for (const id of this.#running) assert.ok(this.references.ids.includes(id), "a user is lost");
    const allowed = new Set([...this.#running, ...this.#lost, ...this.#copies]);
    for (const id of this.references.ids) assert.ok(allowed.has(id), "a user is made up");
    const again = this.saved();
    again.dropStale();
    for (const id of this.#running) assert.ok(again.ids.includes(id), "a running one is stale");
  }

  /** Everybody stops in order. */
  end(): void {
    while (this.#copies.length > 0) this.endCopy();
    for (const id of this.#running) this.stop(id);
    this.references.dropStale();
    assert.deepEqual(this.references.ids, []);
  }
}

test("whatever an engine does, nobody is lost while running, and nobody stays after the end", () => {
  const id = fc.constantFrom("a", "b", "c");
  const step = fc.oneof(
    id.map((value) => (engine: Engine) => engine.start(value)),
    id.map((value) => (engine: Engine) => engine.stop(value)),
    id.map((value) => (engine: Engine) => engine.beginCopy(value)),
    id.map((value) => (engine: Engine) => engine.unknown(value)),
    fc.constant((engine: Engine) => engine.endCopy()),
    fc.constant((engine: Engine) => engine.die()),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const engine = new Engine();
      for (const take of steps) {
        take(engine);
        engine.check();
      }
      engine.end();
    }),
    { numRuns: 2000 },
  );
});
