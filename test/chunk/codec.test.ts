import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { zstdCompressSync } from "node:zlib";
import { codecOf } from "../../src/chunk/codec.ts";

const HELLO = Buffer.from("hello".repeat(6));

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(" ", ""), "hex");
}

async function decoded(name: string, stored: Uint8Array, size: number): Promise<Buffer> {
  const into = Buffer.alloc(size);
  await codecOf(name).decode(stored, into);
  return into;
}

test("the format's examples of compressed blocks are read, and zstd is written byte for byte", async () => {
  const zstd = bytes("28b52ffd 20 1e 5d0000 28 68656c6c6f 01 0058 8a16");
  assert.deepEqual(await decoded("lz4", bytes("5f 68656c6c6f 0500 01 50 68656c6c6f"), 30), HELLO);
  assert.deepEqual(await decoded("LZ4", bytes("50 68656c6c6f"), 5), Buffer.from("hello"));
  assert.deepEqual(await decoded("zstd", zstd, 30), HELLO);
  assert.deepEqual(
    await decoded("zstd", bytes("28b52ffd 20 05 290000 68656c6c6f"), 5),
    Buffer.from("hello"),
  );
  assert.deepEqual(Buffer.concat(await codecOf("zstd").encode([HELLO])), zstd);
});

test("a zstd frame carries its content's size, whatever the size of the block", async () => {
  const heads: [number, string][] = [
    [100_000, "28b52ffda0a0860100"],
    [4 << 20, "28b52ffd804800004000"],
  ];
  for (const [size, head] of heads) {
    const stored = Buffer.concat(await codecOf("zstd").encode([randomBytes(size)]));
    assert.equal(stored.subarray(0, head.length / 2).toString("hex"), head);
  }
});

test("what is compressed comes back, and never takes more than the bound", async () => {
  for (const name of ["none", "lz4", "zstd"]) {
    const codec = codecOf(name);
    for (const size of [0, 1, 15, 4096, 65_536, 100_000, 1 << 20]) {
      for (const plain of [Buffer.alloc(size, 7), randomBytes(size)]) {
        const middle = Math.floor(size / 3);
        const stored = Buffer.concat(
          await codec.encode([plain.subarray(0, middle), plain.subarray(middle)]),
        );
        assert.ok(stored.length <= codec.bound(size), `${name} ${size}: ${stored.length}`);
        assert.deepEqual(await decoded(name, stored, size), plain);
      }
    }
  }
});

test("a block that becomes more or fewer bytes than its name says is refused", async () => {
  for (const name of ["none", "lz4", "zstd"]) {
    const stored = Buffer.concat(await codecOf(name).encode([HELLO]));
    for (const size of [0, 29, 31, 3000]) await assert.rejects(decoded(name, stored, size));
    await assert.rejects(decoded(name, stored.subarray(0, -1), 30));
  }
});

test("a small object that would unpack to very much is not unpacked", async () => {
  const bomb = zstdCompressSync(Buffer.alloc(256 << 20));
  const before = process.memoryUsage().arrayBuffers;
  await assert.rejects(decoded("zstd", bomb, 4096), /does not unpack to 4096 bytes/);
  assert.ok(process.memoryUsage().arrayBuffers - before < 16 << 20);
});

test("several zstd frames in one object are read as one; what is no frame is refused", async () => {
  const frame = zstdCompressSync(HELLO);
  const both = Buffer.concat([HELLO, HELLO]);
  assert.deepEqual(await decoded("zstd", Buffer.concat([frame, frame]), 60), both);
  await assert.rejects(decoded("zstd", Buffer.concat([frame, Buffer.from("junk")]), 30));
});

test("an unknown compression is refused by name", () => {
  assert.throws(() => codecOf("brotli"), /Cannot read compression "brotli": expected none, lz4 or/);
});
