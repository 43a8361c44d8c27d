import assert from "node:assert/strict";
import { test } from "node:test";
import { FsError } from "../../src/base/fs-error.ts";
import { TYPE_FILE } from "../../src/meta/limits.ts";
import type { DirBatch } from "../../src/meta/meta.ts";
import { DirStream } from "../../src/vfs/dir-stream.ts";
import { Known } from "../../src/vfs/known.ts";
import type { VfsParts } from "../../src/vfs/parts.ts";

const DIRECTORY = 7n;
const DOTS = 2n;

function batchOf(names: readonly string[], cursor: string): DirBatch {
  const entries = names.map((name, at) => {
    return { name: Buffer.from(name), ino: 100n + BigInt(at), type: TYPE_FILE };
  });
  return { entries, cursor };
}

/** A directory whose batches come as `readdir` gives them, and the cursors it was asked for. */
function open(readdir: (cursor: string) => Promise<DirBatch>): {
  asked: string[];
  read: (offset: bigint, most?: number) => Promise<string[]>;
  stream: DirStream;
} {
  const asked: string[] = [];
  const parts = {
    known: new Known({ trust: () => "long" }),
    options: { root: 1n },
    meta: {
      ownChanges: 0,
      readdir: (_ino: bigint, cursor: string) => {
        asked.push(cursor);
        return readdir(cursor);
      },
    },
  };
  const stream = new DirStream(parts as unknown as VfsParts, DIRECTORY);
  return {
    ...{ asked, stream },
    async read(offset, most = Infinity) {
      const names: string[] = [];
      await stream.read({ offset, plus: false }, ({ name }) => {
        if (names.length >= most) return false;
        names.push(name.toString());
        return true;
      });
      return names;
    },
  };
}

test("a batch that was asked for ahead and failed is asked for anew by the next read", async () => {
  let away = true;
  const { asked, read } = open((cursor) => {
    if (cursor === "0") return Promise.resolve(batchOf(["a", "b"], "5"));
    if (!away) return Promise.resolve(batchOf(["c"], "0"));
    return Promise.reject(new FsError("EIO", "readdir"));
  });
  assert.deepEqual(await read(DOTS, 1), ["a"]);
  await assert.rejects(read(DOTS + 1n), { code: "EIO" });
  away = false;
  assert.deepEqual(await read(DOTS + 1n), ["b", "c"]);
  assert.deepEqual(asked, ["0", "5", "5"]);
});

test("a reader who comes late gets no batch of long ago", async (t) => {
  let name = "old";
  const { asked, read } = open((cursor) =>
    Promise.resolve(cursor === "0" ? batchOf(["a", "b"], "5") : batchOf([name], "0")),
  );
  const now = performance.now.bind(performance);
  let later = 0;
  t.mock.method(performance, "now", () => now() + later);
  assert.deepEqual(await read(DOTS, 1), ["a"]);
  name = "new";
  later = 60_000;
  assert.deepEqual(await read(DOTS + 1n), ["b", "new"]);
  assert.deepEqual(asked, ["0", "5", "5"]);
});

test("a listing goes on behind what a process before told, in whichever order names come now", async () => {
  const answers: Record<string, DirBatch> = {
    "0": batchOf(["e", "b", "c"], "5"),
    "5": batchOf(["a", "f"], "9"),
    "9": batchOf(["d"], "0"),
  };
  const { read, stream } = open((cursor) => Promise.resolve(answers[cursor] ?? batchOf([], "0")));
  const told = ["a", "b", "gone", "d"].map((name, at) => [at + 2, Buffer.from(name)] as const);
  // What was told behind the reader's place did not get to him.
  stream.goOn(new Map(told), 5n);
  assert.deepEqual(await read(5n), ["e", "c", "f", "d"]);
  assert.deepEqual(await read(6n), ["c", "f", "d"]);
  assert.deepEqual(await read(9n), []);
  assert.deepEqual(await read(DOTS), ["a", "b", "e", "c", "f", "d"]);
  assert.deepEqual(await read(3n), ["b", "e", "c", "f", "d"]);
  assert.deepEqual(await read(4n, 1), ["e"]);
});
