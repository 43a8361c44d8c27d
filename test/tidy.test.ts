import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { test } from "node:test";

/** What no linter knows. Each rule names the files that break it. */

const files = execFileSync(
  "git",
  ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
  {
    encoding: "utf8",
  },
)
  .split("\0")
  .filter((path) => path !== "" && existsSync(path));

const sources = files.filter((path) => /\.(ts|lua|sh|c)$/.test(path));
const product = sources.filter((path) => /^(src|plugin|bench)\//.test(path));

function breaking(paths: string[], rule: (text: string, path: string) => boolean): string[] {
  return paths.filter((path) => rule(readFileSync(path, "utf8"), path));
}

function lines(text: string): number {
  return text.trimEnd().split("\n").length;
}

test("a source file has at most 400 lines", () => {
  assert.deepEqual(
    breaking(product, (text) => lines(text) > 400),
    [],
  );
});

test("a Lua script has at most 80 lines, what they share at most 200", () => {
  const lua = product.filter((path) => path.endsWith(".lua"));
  const limit = (path: string): number => (basename(path).startsWith("prelude") ? 200 : 80);
  assert.deepEqual(
    breaking(lua, (text, path) => lines(text) > limit(path)),
    [],
  );
});

test("a Lua script begins with what it is for", () => {
  const lua = product.filter((path) => path.endsWith(".lua"));
  assert.deepEqual(
    breaking(lua, (text) => !text.startsWith("--")),
    [],
  );
});

test("a command has at most 80 lines", () => {
  const commands = product.filter((path) => path.startsWith("src/cli/commands/"));
  assert.deepEqual(
    breaking(commands, (text) => lines(text) > 80),
    [],
  );
});

test("files have names in kebab-case that say what they hold", () => {
  const vague = /^(index|utils?|helpers?|common|misc)\./;
  const odd = sources.filter(
    (path) => !/^[a-z0-9.-]+$/.test(basename(path)) || vague.test(basename(path)),
  );
  assert.deepEqual(odd, []);
});

test("nothing is left open, switched off or run alone", () => {
  const marks = new RegExp(
    [
      "TO" + "DO",
      "FIX" + "ME",
      "HA" + "CK",
      "@ts-" + "ignore",
      "@ts-" + "expect",
      "lint-" + "disable",
    ]
      .map((word) => `\\b${word}\\b|${word}-`)
      .join("|"),
  );
  assert.deepEqual(
    breaking(sources, (text) => marks.test(text)),
    [],
  );
  const tests = sources.filter((path) => path.startsWith("test/"));
  assert.deepEqual(
    breaking(tests, (text) => /\b(test|it|describe)\.(only|todo)\(/.test(text)),
    [],
  );
});

test("each folder of the sources is on the code map", () => {
  const map = readFileSync("src/README.md", "utf8");
  const folders = new Set(files.flatMap((path) => /^src\/([a-z]+)\//.exec(path)?.[1] ?? []));
  const absent = [...folders].filter((folder) => !map.includes(`\`${folder}/\``));
  assert.deepEqual(absent, []);
});

test("the code map has at most 150 lines", () => {
  assert.ok(lines(readFileSync("src/README.md", "utf8")) <= 150);
});

test("the project names no place outside it", () => {
  const place = new RegExp(["/wo" + "rk/", "/fa" + "rm/", "/ro" + "ot/"].join("|"));
  const texts = files.filter((path) => !path.endsWith("package-lock.json"));
  assert.deepEqual(
    breaking(texts, (text) => place.test(text)),
    [],
  );
});
