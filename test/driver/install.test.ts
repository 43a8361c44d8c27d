import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { makeFolder } from "../support/folder.ts";

/** The service is put below another root, as packagers do it, and taken away again. */

const run = promisify(execFile);

function script(name: string): string {
  return fileURLToPath(new URL(`../../plugin/${name}`, import.meta.url));
}

test("what is installed runs, and goes but for what volumes hold and what others installed", async () => {
  await using root = await makeFolder();
  const env = { ...process.env, DESTDIR: root.path };
  const files = ["usr/local/bin/juicefs", "sbin/mount.juicefs", "usr/lib/juicefs-volume"];
  const there = (): string[] => files.filter((file) => existsSync(join(root.path, file)));
  await run(script("install.sh"), { env });
  await run(script("install.sh"), { env });
  assert.deepEqual(there(), files);
  const home = join(root.path, "usr/lib/juicefs-volume");
  const { stdout } = await run(join(home, "bin/node"), [join(home, "src/main.ts"), "version"]);
  assert.match(stdout, /^juicefs version /);
  assert.ok(existsSync(join(home, "examples/compose.yaml")));
  mkdirSync(join(root.path, "var/lib/juicefs-volume"), { recursive: true });
  writeFileSync(join(root.path, "sbin/mount.juicefs"), "#!/bin/sh\nexec /usr/bin/another\n");
  await run(script("uninstall.sh"), { env });
  assert.deepEqual(there(), ["sbin/mount.juicefs"]);
  assert.ok(existsSync(join(root.path, "var/lib/juicefs-volume")));
  assert.deepEqual(readdirSync(join(root.path, "etc/systemd/system")), []);
});
