import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { maskUrl, scrub, Vault, withSecretFiles } from "../../src/driver/secrets.ts";
import { makeFolder } from "../support/folder.ts";

test("sealed secrets open for their volume and with their key, for no other", async () => {
  await using folder = await makeFolder();
  const vault = new Vault(join(folder.path, "key"));
  const sealed = await vault.seal("photos", { "secret-key": "hush" });
  assert.ok(!Buffer.from(sealed, "base64").includes("hush"));
  assert.deepEqual(vault.open("photos", sealed), { "secret-key": "hush" });
  assert.throws(() => vault.open("notes", sealed), /not the key they were sealed with/);
  const other = new Vault(join(folder.path, "other"));
  await other.seal("x", { a: "b" });
  assert.throws(() => other.open("photos", sealed), /secrets of volume "photos"/);
});

test("two volumes created at once are sealed with the same key", async () => {
  await using folder = await makeFolder();
  const vault = new Vault(join(folder.path, "key"));
  const names = Array.from({ length: 10 }, (_, number) => `v${number}`);
  const sealed = await Promise.all(names.map((name) => vault.seal(name, { a: name })));
  for (const [at, name] of names.entries()) {
    assert.deepEqual(vault.open(name, sealed[at] ?? ""), { a: name });
  }
});

test("a secret may lie in a file", async () => {
  await using folder = await makeFolder();
  writeFileSync(join(folder.path, "photos"), "hush\n");
  const read = (file: string): unknown =>
    withSecretFiles({ given: { "secret-key-file": file }, secrets: {} }, folder.path);
  assert.deepEqual(read("photos"), { "secret-key": "hush" });
  assert.deepEqual(read(join(folder.path, "photos")), { "secret-key": "hush" });
  assert.throws(() => read("none"), /secret-key-file "none": .* there is no such file/);
  assert.throws(() => read("../photos"), /a relative name lies in/);
});

test("what is said holds no secret, as it is or as it stands in a URL", () => {
  const secrets = { metaurl: "redis://me:p%40ss@h/1", "secret-key": "a/b+c" };
  const said = "redis://me:p%40ss@h/1 p@ss p%40ss a/b+c a%2Fb%2Bc";
  assert.equal(scrub(said, secrets), "redis://***@h/1 *** *** *** ***");
});

test("a URL without a password is told as it is", () => {
  const metaurl = "redis://127.0.0.1:6379/1";
  assert.equal(scrub(`Cannot reach ${metaurl}`, { metaurl }), `Cannot reach ${metaurl}`);
  assert.equal(maskUrl(metaurl), metaurl);
});
