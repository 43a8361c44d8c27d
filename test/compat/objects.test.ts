import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { open, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { makeFolder } from "../support/folder.ts";
import { formatTestVolume, juicefs, mountOfficial, mountVolume } from "../support/mount.ts";
import { until } from "../support/process.ts";
import { startRedis } from "../support/redis.ts";

/** Objects are read and written by tools that know nothing of JuiceFS. */

const keys = await makeFolder();
const PASSPHRASE = "one two";
const PLAIN_KEY = join(keys.path, "plain.pem");
const PROTECTED_KEY = join(keys.path, "protected.pem");
execFileSync("openssl", ["genrsa", "-traditional", "-out", PLAIN_KEY, "2048"], { stdio: "ignore" });
execFileSync("openssl", [
  ...["pkcs8", "-topk8", "-in", PLAIN_KEY, "-out", PROTECTED_KEY, "-passout", `pass:${PASSPHRASE}`],
]);
process.env["JFS_RSA_PASSPHRASE"] = PASSPHRASE;
const server = await startRedis();
after(async () => {
  await server[Symbol.asyncDispose]();
  await keys[Symbol.asyncDispose]();
});

const CONTENTS: Readonly<Record<string, Buffer>> = {
  empty: Buffer.alloc(0),
  small: Buffer.from("hello"),
  text: Buffer.from("the quick brown fox jumps over the lazy dog\n".repeat(9000)),
  noise: randomBytes(200_001),
  zeros: Buffer.alloc(300_000),
};

const BLOCKS = ["--block-size", "64K", "--trash-days", "0"];

/** What lies below a folder of objects; not what is on its way there, which has another name until it is whole. */
async function objectsIn(folder: string): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((one) => one.isFile() && !one.name.startsWith(".jfs."))) {
    found.set(entry.name, await readFile(join(entry.parentPath, entry.name)));
  }
  return found;
}

function tool(command: string, args: string[], input: Buffer): Buffer {
  return execFileSync(command, args, {
    input,
    maxBuffer: 1 << 26,
    stdio: ["pipe", "pipe", "pipe"],
  });
}

/** The lz4 tool reads frames: the oldest kind has a magic number and a length before the block. */
function unpackLz4(block: Buffer): Buffer {
  const head = Buffer.from("02214c1800000000", "hex");
  head.writeUInt32LE(block.length, 4);
  return tool("lz4", ["-dc"], Buffer.concat([head, block]));
}

/** The openssl tool has streams without tags: nonce and first counter make the position of the stream. */
function decrypt(object: Buffer, cipher: string, position: (nonce: Buffer) => Buffer): Buffer {
  assert.equal(object.readUInt16BE(0), 256);
  assert.equal(object[2], 12);
  const options = ["rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256"];
  const label = `rsa_oaep_label:${Buffer.from("keys").toString("hex")}`;
  const how = [...options, label].flatMap((option) => ["-pkeyopt", option]);
  const unwrap = ["pkeyutl", "-decrypt", "-inkey", PLAIN_KEY, ...how];
  const key = tool("openssl", unwrap, object.subarray(3, 259));
  const iv = position(object.subarray(259, 271)).toString("hex");
  const stream = ["enc", "-d", `-${cipher}`, "-K", key.toString("hex"), "-iv", iv];
  return tool("openssl", stream, object.subarray(271, -16));
}

function counter2(nonce: Buffer): Buffer {
  return Buffer.concat([nonce, Buffer.of(0, 0, 0, 2)]);
}

function counter1First(nonce: Buffer): Buffer {
  return Buffer.concat([Buffer.of(1, 0, 0, 0), nonce]);
}

const decoders: { format: string[]; decode: (object: Buffer) => Buffer }[] = [
  { format: ["--compress", "lz4"], decode: unpackLz4 },
  { format: ["--compress", "zstd"], decode: (object) => tool("zstd", ["-dc"], object) },
  {
    format: ["--encrypt-rsa-key", PLAIN_KEY, "--compress", "lz4"],
    decode: (object) => unpackLz4(decrypt(object, "aes-256-ctr", counter2)),
  },
  {
    format: ["--encrypt-rsa-key", PLAIN_KEY, "--encrypt-algo", "chacha20-rsa"],
    decode: (object) => decrypt(object, "chacha20", counter1First),
  },
  {
    format: ["--encrypt-rsa-key", PLAIN_KEY, "--encrypt-algo", "sm4gcm", "--compress", "zstd"],
    decode: (object) => tool("zstd", ["-dc"], decrypt(object, "sm4-ctr", counter2)),
  },
];

test("what we write is decoded by the tools lz4, zstd and openssl", async () => {
  for (const [index, { format, decode }] of decoders.entries()) {
    const place = { server, database: 11 + index, format: [...format, ...BLOCKS] };
    await using volume = await formatTestVolume(place);
    {
      await using mount = await mountVolume(volume);
      await writeFile(join(mount.path, "text"), CONTENTS["text"] ?? "");
      await writeFile(join(mount.path, "noise"), CONTENTS["noise"] ?? "");
    }
    const objects = await objectsIn(join(volume.folder, "objects"));
    const encrypted = format.includes("--encrypt-rsa-key");
    assert.equal(objects.get("juicefs_uuid")?.length, encrypted ? 323 : 36);
    const blocks = [...objects].filter(([name]) => /^\d+_\d+_\d+$/.test(name));
    assert.equal(blocks.length, 11);
    const plain = blocks
      .toSorted(([a], [b]) => Number(a.split("_")[1]) - Number(b.split("_")[1]))
      .map(([name, object]) => {
        const block = decode(object);
        assert.equal(block.length, Number(name.split("_")[2]), `${index} ${name}`);
        return { slice: name.split("_")[0], block };
      });
    const slices = Object.values(Object.groupBy(plain, ({ slice }) => slice ?? ""));
    const files = slices.map((parts = []) => Buffer.concat(parts.map(({ block }) => block)));
    for (const name of ["text", "noise"]) {
      assert.ok(
        files.some((file) => CONTENTS[name]?.equals(file) === true),
        `${index} ${name}`,
      );
    }
  }
});

/** The lz4 tool's own frame around one block is taken off again. */
function packLz4(block: Buffer): Buffer {
  return tool("lz4", ["-l", "-9", "-c"], block).subarray(8);
}

const encoders: readonly (readonly [string, (block: Buffer) => Buffer])[] = [
  ["lz4", packLz4],
  ["zstd", (block) => tool("zstd", ["-19", "--check", "--content-size", "-c", "-"], block)],
  // The tool does not know how much comes: the size is not in the frame.
  ["zstd", (block) => tool("zstd", ["-3", "-c"], block)],
];

test("what the tools lz4 and zstd write is read here and by the official client", async () => {
  for (const [index, [compression, encode]] of encoders.entries()) {
    const format = ["--compress", compression, ...BLOCKS];
    await using volume = await formatTestVolume({ server, database: 1 + index, format });
    {
      await using mount = await mountVolume(volume);
      await writeFile(join(mount.path, "text"), CONTENTS["text"] ?? "");
    }
    // The same bytes, from somebody else.
    const folder = join(volume.folder, "objects");
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    for (const { name, parentPath } of entries.filter((one) => /^\d+_\d+_\d+$/.test(one.name))) {
      const [, part = "", size = ""] = name.split("_");
      const start = Number(part) * 65_536;
      const block = CONTENTS["text"]?.subarray(start, start + Number(size)) ?? Buffer.alloc(0);
      const object = encode(block);
      assert.ok(!object.equals(await readFile(join(parentPath, name))), name);
      await writeFile(join(parentPath, name), object);
    }
    await using ours = await mountVolume(volume);
    await using official = await mountOfficial(volume);
    for (const { path } of [ours, official]) {
      assert.ok(CONTENTS["text"]?.equals(await readFile(join(path, "text"))), compression);
    }
  }
});

test("small files that travel together fill no more than a block, however short that is", async () => {
  const format = ["--compress", "zstd", ...BLOCKS];
  await using volume = await formatTestVolume({ server, database: 5, format });
  const files = Array.from({ length: 60 }, (_, index) => randomBytes(3000 + index * 150));
  {
    await using mount = await mountVolume(volume);
    const opened = await Promise.all(
      files.map((_, index) => open(join(mount.path, `small${index}`), "w")),
    );
    for (const [index, data] of files.entries()) await opened[index]?.write(data);
    // Nobody asks for it: what was written is stored together after a while.
    await until("something is stored", async () => {
      const names = [...(await objectsIn(join(volume.folder, "objects"))).keys()];
      return names.some((name) => /^\d+_\d+_\d+$/.test(name));
    });
    for (const file of opened) await file.close();
  }
  await using ours = await mountVolume(volume);
  await using official = await mountOfficial(volume);
  for (const { path } of [ours, official]) {
    for (const [index, data] of files.entries()) {
      assert.ok(data.equals(await readFile(join(path, `small${index}`))), `small${index}`);
    }
  }
});

test("an encrypted volume without its passphrase is refused in one line", async () => {
  const format = ["--encrypt-rsa-key", PROTECTED_KEY, ...BLOCKS];
  await using volume = await formatTestVolume({ server, database: 6, format });
  delete process.env["JFS_RSA_PASSPHRASE"];
  try {
    const mount = juicefs("mount", volume.metaUrl, join(volume.folder, "mnt"));
    await assert.rejects(mount, ({ stderr }: { stderr: string }) => {
      assert.match(stderr, /it is protected; put its passphrase into JFS_RSA_PASSPHRASE\n$/);
      return true;
    });
  } finally {
    process.env["JFS_RSA_PASSPHRASE"] = PASSPHRASE;
  }
});
