import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Transfer, type TransferAnswer } from "../../src/object/transfer.ts";

/** Answers of servers, byte by byte where it matters. */

interface TestServer extends AsyncDisposable {
  readonly url: URL;
  /** How many connections came. */
  readonly connections: () => number;
  /** What was received. */
  readonly received: () => string;
}

/** Answers each request, which ends with a blank line, by the next script. */
async function serve(...scripts: ((socket: Socket) => unknown)[]): Promise<TestServer> {
  let connections = 0;
  let received = "";
  let next = 0;
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    connections++;
    open.add(socket);
    socket.on("error", () => undefined);
    let unanswered = "";
    socket.on("data", (bytes) => {
      received += bytes.toString("latin1");
      unanswered += bytes.toString("latin1");
      if (!unanswered.includes("\r\n\r\n")) return;
      unanswered = "";
      void scripts[Math.min(next++, scripts.length - 1)]?.(socket);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: new URL(`http://127.0.0.1:${port}/bucket/key?x=1`),
    connections: () => connections,
    received: () => received,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** Sends the bytes a few at a time. */
const inPieces =
  (text: string, size = 7) =>
  async (socket: Socket): Promise<void> => {
    for (let at = 0; at < text.length; at += size) {
      socket.write(text.slice(at, at + size));
      await sleep(1);
    }
  };

const GOOD = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nX-A: 1\r\nx-a: 2\r\n\r\n0123456789";

async function get(
  { url }: TestServer,
  into = new Uint8Array(new SharedArrayBuffer(10)),
  transfer = new Transfer(),
): Promise<TransferAnswer & { into: string }> {
  const answer = await transfer.send({ method: "GET", url, headers: { range: "bytes=0-9" }, into });
  return { ...answer, into: Buffer.from(into).toString("latin1", 0, answer.length) };
}

test("the body goes where it is wanted, in however many pieces the answer comes", async () => {
  for (const script of [inPieces(GOOD), inPieces(GOOD, 1), inPieces(GOOD, 1000)]) {
    await using server = await serve(script);
    const { status, headers, length, text, into } = await get(server);
    assert.deepEqual([status, length, text.length, into], [200, 10, 0, "0123456789"]);
    assert.equal(headers["x-a"], "1, 2");
    assert.match(
      server.received(),
      /^GET \/bucket\/key\?x=1 HTTP\/1\.1\r\nhost: 127\.0\.0\.1:\d+\r\n/,
    );
  }
});

test("a connection carries one request after another, until the server will not", async () => {
  const last = GOOD.replace("X-A: 1", "Connection: close");
  await using server = await serve(inPieces(GOOD), inPieces(last), inPieces(GOOD));
  const transfer = new Transfer();
  for (const connections of [1, 1, 2]) {
    assert.equal((await get(server, undefined, transfer)).into, "0123456789");
    assert.equal(server.connections(), connections);
  }
  transfer.close();
});

test("one that the server closed meanwhile is not used", async () => {
  await using server = await serve((socket) => socket.end(GOOD), inPieces(GOOD));
  const transfer = new Transfer();
  await get(server, undefined, transfer);
  await sleep(50);
  assert.equal((await get(server, undefined, transfer)).into, "0123456789");
  assert.equal(server.connections(), 2);
  transfer.close();
});

test("interim answers are passed over, refusals are collected, in chunks too", async () => {
  const cases: [string, number, string][] = [
    [`HTTP/1.1 100 Continue\r\n\r\n${GOOD}`, 200, ""],
    [
      "HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\n\r\n<Code>x</Code>".slice(0, -2),
      404,
      "<Code>x</Cod",
    ],
    [
      "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
      503,
      "abcde",
    ],
    ["HTTP/1.1 204 No Content\r\n\r\n", 204, ""],
  ];
  for (const [script, status, text] of cases) {
    for (const size of [3, 1000]) {
      await using server = await serve(inPieces(script, size));
      const answer = await get(server);
      assert.deepEqual([answer.status, answer.text.toString()], [status, text]);
    }
  }
});

test("answers that do not tell their length come another way, and the host is known for it", async () => {
  const chunked =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n";
  await using server = await serve(inPieces(chunked, 1000));
  const transfer = new Transfer();
  assert.equal((await get(server, undefined, transfer)).into, "0123456789");
  const before = server.received().split("GET ").length;
  assert.equal((await get(server, undefined, transfer)).into, "0123456789");
  assert.equal(server.received().split("GET ").length, before + 1);
  transfer.close();
});

test("what is wrong with an answer is told", async () => {
  const wrong: [(socket: Socket) => unknown, RegExp][] = [
    [
      (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n012"),
      /cut off after 3 bytes/,
    ],
    [(socket) => socket.end("HTTP/1.1 200 OK\r\nContent-"), /connection was closed/],
    [(socket) => socket.destroy(), /connection was closed|ECONNRESET/],
    [(socket) => socket.write(GOOD.replace("10", "11")), /more than 10 bytes/],
    [(socket) => socket.write(`${GOOD}!`), /more bytes than it says/],
  ];
  for (const [script, message] of wrong) {
    await using server = await serve(script);
    await assert.rejects(get(server), message);
  }
});

test("a request that takes too long ends, and its memory is left alone", async () => {
  await using server = await serve(async (socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123");
    await sleep(200);
    socket.write("456789");
  });
  const into = new Uint8Array(new SharedArrayBuffer(10));
  const transfer = new Transfer();
  const { url } = server;
  const signal = AbortSignal.timeout(80);
  await assert.rejects(transfer.send({ method: "GET", url, headers: {}, into, signal }), {
    name: "TimeoutError",
  });
  into.fill(0);
  await sleep(200);
  assert.deepEqual(
    [...into],
    Array.from({ length: 10 }, () => 0),
  );
  transfer.close();
});

test("a refusal that comes while the body is still sent is told, and the connection is not used again", async () => {
  const refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
  await using server = await serve((socket) => {
    socket.pause();
    socket.write(refusal);
  });
  const transfer = new Transfer();
  const body = [Buffer.alloc(32 << 20)];
  const headers = { "content-length": `${32 << 20}` };
  const answer = await transfer.send({ method: "PUT", url: server.url, headers, body });
  assert.deepEqual([answer.status, answer.text.toString()], [403, "no"]);
  const again = transfer.send({ method: "PUT", url: server.url, headers, body });
  assert.equal((await again).status, 403);
  assert.equal(server.connections(), 2);
  transfer.close();
});
