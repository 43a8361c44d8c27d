import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { endProcesses } from "./support/process.ts";

/** A rule of POSIX (or of Linux, where POSIX leaves it open), tried in an empty folder that belongs to root. */
export type Rule = (folder: string) => Promise<void>;
export type Rules = Readonly<Record<string, Rule>>;

/** A file system that rules are tried on; everybody may walk to `path`. */
export interface Place extends AsyncDisposable {
  readonly path: string;
}

const AT_ONCE = 4;
/** A rule that takes longer hangs. */
const PATIENCE_MS = 180_000;
let folders = 0;

/** Tries every rule on the file system that `makePlace` makes. */
export function testRules(
  what: string,
  themes: Readonly<Record<string, Rules>>,
  makePlace: () => Promise<Place>,
): void {
  suite(what, { concurrency: AT_ONCE }, () => {
    let place: Place | undefined;
    before(async () => {
      place = await makePlace();
    });
    after(async () => {
      await endProcesses();
      await place?.[Symbol.asyncDispose]();
    });
    for (const [theme, rules] of Object.entries(themes)) {
      for (const [name, rule] of Object.entries(rules)) {
        test(`${theme}: ${name}`, { timeout: PATIENCE_MS }, async () => {
          assert.ok(place !== undefined, "the file system is there");
          const folder = join(place.path, `rule${++folders}`);
          await mkdir(folder);
          await rule(folder);
        });
      }
    }
  });
}

/** The promise rejects with this code. */
export async function refused(code: string, call: Promise<unknown>): Promise<void> {
  const outcome = await call.then(
    () => "success",
    (error: unknown) => (error as { code?: string }).code ?? String(error),
  );
  assert.equal(outcome, code);
}
