import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { makeFolder } from "../support/folder.ts";
import { onMinio, startMinio } from "../support/minio.ts";
import {
  formatTestVolume,
  juicefs,
  mountOfficial,
  mountVolume,
  officialJuicefs,
} from "../support/mount.ts";
import { startRedis } from "../support/redis.ts";

/**
 * Every way a volume may lie in its storage, by pairs: each two settings meet in one volume at least. What one client wrote
 * and changed the other one reads.
 */

const KINDS = {
  compress: ["none", "lz4", "zstd"],
  encrypt: ["nothing", "aes256gcm-rsa", "chacha20-rsa", "sm4gcm"],
  storage: ["file", "s3", "minio"],
  block: ["64K", "256K", "4M"],
  shards: ["0", "3"],
  hashed: ["", "--hash-prefix"],
} as const;

type Combination = { readonly [Kind in keyof typeof KINDS]: (typeof KINDS)[Kind][number] };

const kinds = Object.keys(KINDS) as (keyof typeof KINDS)[];

function pairsOf(combination: Combination): string[] {
  return kinds.flatMap((one, at) =>
    kinds.slice(at + 1).map((other) => `${one}=${combination[one]} ${other}=${combination[other]}`),
  );
}

/** Few combinations that have all pairs: the one with most pairs that are missing yet, again and again. */
function combinations(): Combination[] {
  const all = kinds.reduce<Partial<Combination>[]>(
    (made, kind) => made.flatMap((one) => KINDS[kind].map((value) => ({ ...one, [kind]: value }))),
    [{}],
  ) as Combination[];
  const missing = new Set(all.flatMap(pairsOf));
  const chosen: Combination[] = [];
  const gain = (one: Combination): number =>
    pairsOf(one).filter((pair) => missing.has(pair)).length;
  while (missing.size > 0) {
    const best = all.reduce((most, one) => (gain(one) > gain(most) ? one : most));
    chosen.push(best);
    for (const pair of pairsOf(best)) missing.delete(pair);
  }
  return chosen;
}

const keys = await makeFolder();
const PASSPHRASE = "one two";
const [PLAIN, PROTECTED] = [join(keys.path, "plain.pem"), join(keys.path, "protected.pem")];
execFileSync("openssl", ["genrsa", "-traditional", "-out", PLAIN, "2048"], { stdio: "ignore" });
execFileSync("openssl", [
  ...["pkcs8", "-topk8", "-in", PLAIN, "-out", PROTECTED, "-passout", `pass:${PASSPHRASE}`],
]);
process.env["JFS_RSA_PASSPHRASE"] = PASSPHRASE;
const [server, minio] = await Promise.all([startRedis(), startMinio()]);
after(async () => {
  for (const one of [minio, server, keys]) await one[Symbol.asyncDispose]();
});

const BYTES = { "64K": 1 << 16, "256K": 1 << 18, "4M": 1 << 22 } as const;

/** Files whose ends lie on, before and behind those of blocks; text packs well, noise does not. */
function contentsFor(block: number): Map<string, Buffer> {
  const text = Buffer.alloc(block, "the quick brown fox jumps over the lazy dog\n");
  return new Map([
    ["empty", Buffer.alloc(0)],
    ["small", Buffer.from("hello")],
    ["block", text],
    ["more", Buffer.concat([text, randomBytes(block), text.subarray(0, 1)])],
    ["less", Buffer.concat([randomBytes(block), Buffer.alloc(block - 1)])],
  ]);
}

/** Writes the files, and overwrites a part of one over the border of two blocks. */
async function fill(folder: string, contents: Map<string, Buffer>, block: number): Promise<void> {
  for (const [name, data] of contents) await writeFile(join(folder, name), data);
  const piece = randomBytes(1000);
  await using file = await open(join(folder, "more"), "r+");
  await file.write(piece, 0, piece.length, block - 300);
  piece.copy(contents.get("more") ?? piece, block - 300);
}

async function check(folder: string, contents: Map<string, Buffer>): Promise<void> {
  // Parts first, of what no client has in memory.
  await using file = await open(join(folder, "more"), "r");
  const more = contents.get("more") ?? Buffer.alloc(0);
  for (let count = 0; count < 5; count++) {
    const [at, length] = [randomInt(more.length), randomInt(1, 20_000)];
    const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, at);
    assert.ok(more.subarray(at, at + length).equals(buffer.subarray(0, bytesRead)), `at ${at}`);
  }
  for (const [name, data] of contents) {
    assert.ok(data.equals(await readFile(join(folder, name))), name);
  }
}

function formatOf(one: Combination, index: number): string[] {
  const name = one.shards === "0" ? `data-${index}` : `data-${index}-%d`;
  const place = one.storage === "file" ? [] : [...onMinio(minio, name), "--storage", one.storage];
  const bucket = one.storage === "file" ? ["--bucket", join(keys.path, name)] : [];
  const key = index % 3 === 0 ? PLAIN : PROTECTED;
  return [
    ...[...place, ...bucket, "--shards", one.shards, "--block-size", one.block],
    ...["--trash-days", "0", "--compress", one.compress],
    ...(one.hashed === "" ? [] : [one.hashed]),
    ...(one.encrypt === "nothing" ? [] : ["--encrypt-algo", one.encrypt, "--encrypt-rsa-key", key]),
  ];
}

for (const [index, one] of combinations().entries()) {
  const official = index % 2 === 1;
  const maker = official ? "the official client" : "us";
  const words = [...Object.values(one).filter((value) => value !== ""), `made by ${maker}`];
  test(`${words.join(", ")}: each client reads what the other wrote`, async () => {
    const format = formatOf(one, index);
    await using volume = await formatTestVolume({ server, database: index, official, format });
    const block = BYTES[one.block];
    const [ours, theirs] = [contentsFor(block), contentsFor(block)];
    const dir = (mount: { path: string }, name: string): string => join(mount.path, name);
    {
      await using mount = await mountVolume(volume);
      execFileSync("mkdir", [dir(mount, "ours"), dir(mount, "theirs")]);
      await fill(dir(mount, "ours"), ours, block);
    }
    {
      await using mount = await mountOfficial(volume);
      await check(dir(mount, "ours"), ours);
      await fill(dir(mount, "theirs"), theirs, block);
    }
    {
      await using mount = await mountVolume(volume);
      await check(dir(mount, "theirs"), theirs);
      await check(dir(mount, "ours"), ours);
    }
    const { stdout } = await juicefs("gc", volume.metaUrl);
    assert.match(stdout, /"leaked": \{\s+"objects": 0,/);
    await juicefs("fsck", volume.metaUrl);
    // The official client lists a part of a sharded folder only, another one each time.
    if (one.storage === "file" && one.shards !== "0") return;
    const fsck = await officialJuicefs("fsck", volume.metaUrl);
    assert.doesNotMatch(fsck.stderr, /<(ERROR|FATAL)>/);
    const gc = await officialJuicefs("gc", volume.metaUrl);
    assert.match(gc.stdout + gc.stderr, / 0 leaked \(0 bytes\)/);
  });
}
