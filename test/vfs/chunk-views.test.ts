import assert from "node:assert/strict";
import { test } from "node:test";
import type { Slice } from "../../src/meta/types.ts";
import { ChunkViews } from "../../src/vfs/chunk-views.ts";

const RECORD: Slice = { pos: 0, id: 7n, size: 100, off: 0, len: 100 };

/** A chunk on a server: what is read is of the moment of the call, and arrives when it is let go. */
class Server {
  records: Slice[] = [];
  readonly #held: (() => void)[] = [];

  readonly read = (): Promise<Slice[]> => {
    const records = [...this.records];
    return new Promise((resolve) => {
      this.#held.push(() => {
        resolve(records);
      });
    });
  };

  letGo(): void {
    for (const go of this.#held.splice(0)) go();
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await Promise.resolve();
}

for (const way of ["committed", "drop"] as const) {
  test(`a view has what is pending no more, whenever the answers come: ${way}`, async () => {
    for (let between = 0; between < 8; between++) {
      const server = new Server();
      const views = new ChunkViews(server.read);
      let pending = true;
      const seen = views.look(1n, 0, (pieces) => pending || pieces.length > 0);
      // Committed behind the read; its answer comes some turns after the read's.
      server.records.push(RECORD);
      server.letGo();
      await turns(between);
      if (way === "committed") views.committed(1n, 0, RECORD, 1);
      else views.drop(1n);
      pending = false;
      await turns(10);
      server.letGo();
      assert.ok(await seen, `the bytes are nowhere, with ${between} turns between`);
    }
  });
}

test("a record pushed while a view is loaded is in it, without another load", async () => {
  const server = new Server();
  const views = new ChunkViews(server.read);
  server.records.push(RECORD);
  const seen = views.get(1n, 0);
  views.committed(1n, 0, RECORD, 1);
  server.letGo();
  assert.equal((await seen).length, 1);
});

test("who looks while others change a file without end is shown a state of it", async () => {
  const server = new Server();
  const views = new ChunkViews(server.read);
  server.records.push(RECORD);
  const progress = { shown: false };
  const seen = Promise.resolve(views.get(1n, 0)).then((pieces) => {
    progress.shown = true;
    return pieces;
  });
  while (!progress.shown) {
    views.drop(1n);
    server.letGo();
    await turns(10);
  }
  assert.equal((await seen).length, 1);
});

test("what an answer brought along is a view, unless something changed since it was asked for", async () => {
  const server = new Server();
  const views = new ChunkViews(server.read);
  const mark = views.mark();
  views.offer(1n, 0, [RECORD], mark);
  assert.equal((await views.get(1n, 0)).length, 1, "without a read");
  views.dropChunk(2n, 0);
  views.offer(2n, 0, [RECORD], mark);
  const seen = views.get(2n, 0);
  server.letGo();
  assert.equal((await seen).length, 0, "as the server has it now");
});
