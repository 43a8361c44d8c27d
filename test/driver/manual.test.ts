import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { driverTable } from "../../src/driver/options.ts";
import { formatTable } from "../../src/options/format.ts";
import { mountTable } from "../../src/options/mount.ts";
import type { OptionTable } from "../../src/options/table.ts";

/** The document of the driver: its last part is made from the options, and `make docs` writes it anew. */

const DOCUMENT = new URL("../../docs/docker.md", import.meta.url);
const MADE = "What follows is made from the options themselves by `make docs`.\n";

function rows(title: string, table: OptionTable): string {
  const lines = Object.entries(table).map(([name, { value, help, shown, secret }]) => {
    const option = value === undefined ? name : `${name}=<${value}>`;
    const file = secret === true ? `; or \`${name}-file\`` : "";
    const initial = shown === undefined ? "" : ` (default ${shown})`;
    return `| \`${option}\` | ${help.replaceAll("|", "\\|")}${initial}${file} |\n`;
  });
  return `\n| ${title} | |\n|---|---|\n${lines.join("")}`;
}

function manual(): string {
  const { storage: _, bucket: __, ...mount } = mountTable;
  const own = Object.entries(mount).filter(([name]) => !(name in formatTable));
  return [
    rows("of the driver", driverTable),
    rows("when the file system is made", formatTable),
    rows("when it is mounted", Object.fromEntries(own)),
  ].join("");
}

test("the document tells every volume option as it is", () => {
  const document = readFileSync(DOCUMENT, "utf8");
  const written = document.slice(0, document.indexOf(MADE) + MADE.length);
  const made = `${written}${manual()}`;
  if (process.env["WRITE_DOCS"] !== undefined) writeFileSync(DOCUMENT, made);
  else assert.ok(document === made, "docs/docker.md is out of date: run make docs");
});

test("links in the documents lead to files", () => {
  for (const path of ["README.md", "docs/docker.md", "docs/commands.md"]) {
    const document = new URL(`../../${path}`, import.meta.url);
    const links = readFileSync(document, "utf8").matchAll(/\]\(([^)#:]+)(#[^)]*)?\)/g);
    const broken = [...links]
      .map(([, to = ""]) => to)
      .filter((to) => !existsSync(new URL(to, document)));
    assert.deepEqual(broken, [], path);
  }
});
