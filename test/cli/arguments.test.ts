import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { asCommander } from "../../src/cli/arguments.ts";
import { mountCommand } from "../../src/cli/commands/mount.ts";
import { isMountHelper, mountArguments } from "../../src/cli/mount-helper.ts";
import { givenOf } from "../../src/cli/options.ts";
import { makeProgram, SHARED } from "../../src/cli/program.ts";
import { mountTable } from "../../src/options/mount.ts";
import { officialJuicefs } from "../support/mount.ts";

/** Arguments are taken where and as the official client takes them. */

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

function translated(...args: string[]): string {
  return asCommander(args, makeProgram(), SHARED).join(" ");
}

/** What `mount` understands, besides its two arguments. */
function mountOptions(...args: string[]): Record<string, unknown> {
  const command = mountCommand().action(() => undefined);
  const [, ...given] = asCommander(["mount", "url", "/mnt", ...args], makeProgram(), SHARED);
  command.parse(given, { from: "user" });
  return { ...givenOf(command, mountTable) };
}

test("options of all commands may come before the command", () => {
  assert.equal(translated("-q", "--log-id", "x", "status", "url"), "status --quiet --log-id x url");
  assert.equal(translated("--debug=false", "status", "url"), "status url");
  assert.equal(translated("help", "gc"), "gc --help");
  assert.equal(translated("help", "none"), "none");
  assert.equal(translated("-V"), "-V");
  assert.equal(translated(), "--help");
});

test("one dash is as good as two", () => {
  assert.equal(translated("status", "-more", "url"), "status --more url");
  assert.equal(translated("gc", "-p=4", "url"), "gc --threads 4 url");
  assert.equal(translated("objbench", "--sc", "X", "url"), "objbench --storage-class X url");
  assert.equal(translated("mount", "-help"), "mount --help");
  assert.equal(translated("umount", "--", "-more"), "umount -- -more");
});

test("switches are turned off with =false, whatever their default, and the last one counts", () => {
  assert.deepEqual(mountOptions("--writeback=false", "-d=true"), {});
  assert.deepEqual(mountOptions("--writeback", "--writeback=F"), {});
  assert.deepEqual(mountOptions("--writeback=0", "--writeback=T"), { writeback: true });
  assert.deepEqual(mountOptions("--enable-xattr=false"), { "enable-xattr": false });
  assert.deepEqual(mountOptions("--no-enable-xattr", "--enable-xattr"), { "enable-xattr": true });
  assert.equal(translated("format", "--no-update=false", "url", "name"), "format url name");
  assert.throws(() => translated("format", "--force=maybe"), /--force "maybe": expected true or/);
});

test("what follows an option is its value, whatever it looks like", () => {
  assert.deepEqual(mountOptions("--cache-dir", "--writeback=false"), {
    "cache-dir": "--writeback=false",
  });
});

test("an option whose own name begins with no- is taken", () => {
  assert.deepEqual(mountOptions("--no-bgjob"), { "no-bgjob": true });
  assert.deepEqual(mountOptions("--no-bgjob=false"), {});
});

test("the options of all commands are the official client's", async () => {
  const { stdout } = await officialJuicefs("--help");
  const [, listed = ""] = /GLOBAL OPTIONS:\n([^]*?)\n\n/.exec(stdout) ?? [];
  const names = [...listed.matchAll(/(?<=^ .*)--([a-z-]+)(?=.* {2}[a-z])/gm)].map(
    ([, name = ""]) => name,
  );
  assert.ok(names.includes("no-agent"), listed);
  const missing = names.filter((name) => !SHARED.has(name) && !["help", "version"].includes(name));
  assert.deepEqual(missing, []);
});

test("a line of fstab becomes a mount in the background", () => {
  const options =
    "rw,_netdev,nofail,x-systemd.automount,cache-size=1G,read-only,noatime,attrcacheto=3";
  assert.deepEqual(mountArguments(["redis://host/1", "/mnt/a b", "-s", "-o", options]), [
    ...["mount", "-d", "--cache-size=1G", "--read-only", "--attr-cache=3", "-o", "noatime"],
    ...["redis://host/1", "/mnt/a b"],
  ]);
  assert.deepEqual(mountArguments(["url", "/mnt", "-o", "defaults"]), [
    "mount",
    "-d",
    "url",
    "/mnt",
  ]);
  assert.throws(() => mountArguments(["url", "/mnt", "-o", "cache-dir"]), /"cache-dir": it needs/);
  assert.ok(isMountHelper("/sbin/mount.juicefs", {}));
  assert.ok(isMountHelper(MAIN, { CALL_VIA_MOUNT: "1" }));
  assert.ok(!isMountHelper(MAIN, {}));
});

test("a wrong argument is named with the command whose help tells more, and no secret is repeated", async () => {
  const said = async (...args: string[]): Promise<string> => (await run(args)).stderr;
  assert.equal(
    await said("status", "redis://:secret@host/1", "more"),
    'juicefs: Cannot use "more": juicefs status takes META-URL only\n',
  );
  assert.equal(
    await said("format", "--secret-kee=secret", "redis://host/1", "name"),
    "juicefs: unknown option '--secret-kee'; juicefs format --help lists what there is\n",
  );
  assert.equal(
    await said("format", "redis://host/1", "name", "--trash-days=-1"),
    'juicefs: Cannot use --trash-days "-1": expected a whole number from 0 on\n',
  );
});

test("who reads the results may go away early; a full disk is told in a sentence", async () => {
  assert.deepEqual(await run(["version"], "closed"), { code: 1, stderr: "" });
  assert.deepEqual(await run(["version"], openSync("/dev/full", "w")), {
    code: 1,
    stderr: "juicefs: Cannot write to standard output: ENOSPC\n",
  });
});

async function run(
  args: readonly string[],
  stdout: "closed" | "ignore" | number = "ignore",
): Promise<{ code: number; stderr: string }> {
  const output = stdout === "closed" ? "pipe" : stdout;
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", output, "pipe"] });
  child.stdout?.destroy();
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, "close")) as [number];
  return { code, stderr };
}
