import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { officialJuicefs } from "../support/mount.ts";
import { GLOBAL_GROUP, makeProgram } from "../../src/cli/program.ts";

/** The document of the commands: its second half is made from them, and `make docs` writes it anew. */

type Command = ReturnType<typeof makeProgram>;

const DOCUMENT = new URL("../../docs/commands.md", import.meta.url);
const MADE = "What follows is made from the commands themselves by `make docs`.\n";

function table(title: string, rows: readonly (readonly [string, string])[]): string {
  if (rows.length === 0) return "";
  const cells = rows.map(([name, help]) => `| \`${name}\` | ${help.replaceAll("|", "\\|")} |\n`);
  return `\n| ${title} | |\n|---|---|\n${cells.join("")}`;
}

function manualOf(command: Command): string {
  const args = command.registeredArguments.map((one) =>
    one.required ? `<${one.name()}>` : `[${one.name()}]`,
  );
  const groups = new Map<string, [string, string][]>();
  for (const { flags, description, helpGroupHeading = "options" } of command.options) {
    const heading = helpGroupHeading.replace(/:$/, "");
    if (heading === GLOBAL_GROUP) continue;
    groups.set(heading, [...(groups.get(heading) ?? []), [flags, description]]);
  }
  const text = [
    `\n### ${command.name()}\n\n\`juicefs ${[command.name(), "[options]", ...args].join(" ")}\`: ${command.summary()}.\n`,
    table(
      "argument",
      command.registeredArguments.map((one) => [one.name(), one.description] as [string, string]),
    ),
    ...[...groups].map(([heading, rows]) => table(heading, rows)),
  ];
  return text.join("");
}

function manual(): string {
  const { commands } = makeProgram();
  const shared = (commands[0]?.options ?? [])
    .filter((option) => option.helpGroupHeading === `${GLOBAL_GROUP}:`)
    .map(({ flags, description }) => [flags, description] as const);
  return `${table("every command takes", shared)}${commands.map(manualOf).join("")}`;
}

test("the document tells every command with its options, as they are", () => {
  const document = readFileSync(DOCUMENT, "utf8");
  const written = document.slice(0, document.indexOf(MADE) + MADE.length);
  const made = `${written}${manual()}`;
  if (process.env["WRITE_DOCS"] !== undefined) writeFileSync(DOCUMENT, made);
  else assert.ok(document === made, "docs/commands.md is out of date: run make docs");
});

test("what the document says is not there is not there, and nothing else of JuiceFS's is missing", () => {
  const [, absent = ""] = /^Not there: ([^.]*)\./m.exec(readFileSync(DOCUMENT, "utf8")) ?? [];
  const named = [...absent.matchAll(/`([a-z]+)`/g)].map(([, name]) => name);
  const present = makeProgram().commands.map((command) => command.name());
  const juicefs =
    "format config destroy gc fsck status info summary mount umount warmup compact rmr objbench version " +
    "bench changelog clone debug dump gateway load mdtest profile quota restore stats sync tier webdav";
  assert.deepEqual(new Set([...present, ...named]), new Set(juicefs.split(" ")));
});

test("the document names the options of the official client that are not there, and no other ones", async () => {
  const section = /\*\*Options of the official client that are not there[^]*?\n\n(\|[^]*?)\n\n/m;
  const [, listed = ""] = section.exec(readFileSync(DOCUMENT, "utf8")) ?? [];
  const named = new Map(
    [...listed.matchAll(/^\| `(\w+)` \| (.*) \|$/gm)].map(([, command = "", options = ""]) => [
      command,
      [...options.matchAll(/`--([a-z-]+)`/g)].map(([, option]) => option),
    ]),
  );
  for (const command of makeProgram().commands) {
    const own = new Set(command.options.map((option) => option.long?.slice(2)));
    const { stdout } = await officialJuicefs(command.name(), "--help");
    const theirs = [...stdout.matchAll(/^ +(?:-\w, )?--([a-z-]+)/gm)].map(([, option]) => option);
    assert.ok(theirs.length > 0, stdout);
    const missing = theirs.filter((option) => option !== "help" && !own.has(option));
    assert.deepEqual(new Set(missing), new Set(named.get(command.name())), command.name());
  }
});

test("every command and option says what it is for", () => {
  for (const command of makeProgram().commands) {
    assert.notEqual(command.summary(), "", command.name());
    for (const argument of command.registeredArguments) {
      assert.notEqual(argument.description, "", `${command.name()} ${argument.name()}`);
    }
    for (const { flags, description } of command.options) {
      assert.notEqual(description, "", `${command.name()} ${flags}`);
    }
  }
});
