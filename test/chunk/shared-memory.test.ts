import assert from "node:assert/strict";
import { test } from "node:test";
import { SharedMemory } from "../../src/chunk/shared-memory.ts";

const MIB = 1 << 20;

test("what comes and goes all the time is used again, though buffers that nobody asks for fill the room", () => {
  const memory = new SharedMemory(8 * MIB);
  const large = [1, 2].map(() => memory.take(4 * MIB));
  for (const buffer of large) memory.give(buffer);
  const small = memory.take(64 << 10);
  memory.give(small);
  assert.equal(memory.take(64 << 10), small);
  memory.give(small);
  // One of the large ones made room.
  assert.equal(memory.take(4 * MIB), large[0]);
  assert.ok(!large.includes(memory.take(4 * MIB)));
});

test("a buffer that there is no room for takes no other's", () => {
  const memory = new SharedMemory(MIB);
  const small = memory.take(64 << 10);
  memory.give(small);
  memory.give(memory.take(4 * MIB));
  assert.equal(memory.take(64 << 10), small);
});

test("a buffer is as long as is wanted, and less than a third longer", () => {
  const memory = new SharedMemory(MIB);
  for (const length of [1, 4096, 4097, 5000, 100_000, 131_072, 131_073, 3 * MIB + 1]) {
    const { length: got } = memory.take(length);
    assert.ok(got >= length && (got <= 4096 || got < length * (4 / 3)), `${got} for ${length}`);
  }
});
