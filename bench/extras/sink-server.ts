import { createServer, type AddressInfo, type Socket } from "node:net";

/**
 * An object store that answers every PUT at once and keeps nothing of a block. Small objects are kept, so that a volume can be
 * made on it. HTTP by hand: what this process does with a byte must be little beside what the client does with it. Tells
 * its port to its parent, and ends with it.
 */

const KEPT_BYTES_MAX = 64 << 10;
const HEAD_END = Buffer.from("\r\n\r\n");

const objects = new Map<string, Buffer>();

/** One connection: requests one after the other, a head and then its body. */
class Connection {
  readonly #socket: Socket;
  /** What came of a head, or of a body that is kept. */
  #held: Buffer[] = [];
  #head: { method: string; path: string } | undefined;
  #bodyLeft = 0;
  #keep = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  take(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length || (this.#head !== undefined && this.#bodyLeft === 0)) {
      at = this.#head === undefined ? this.#takeHead(bytes, at) : this.#takeBody(bytes, at);
    }
  }

  #takeHead(bytes: Buffer, from: number): number {
    const held = Buffer.concat([...this.#held, bytes.subarray(from)]);
    const end = held.indexOf(HEAD_END);
    if (end < 0) {
      this.#held = [Buffer.from(held)];
      return bytes.length;
    }
    const text = held.toString("latin1", 0, end);
    const [, method = "", path = ""] = /^(\w+) (\S+)/.exec(text) ?? [];
    this.#head = { method, path };
    this.#bodyLeft = Number(/^content-length: *(\d+)/im.exec(text)?.[1] ?? 0);
    this.#keep = this.#bodyLeft <= KEPT_BYTES_MAX;
    if (/^expect:/im.test(text)) this.#socket.write("HTTP/1.1 100 Continue\r\n\r\n");
    const before = held.length - (bytes.length - from);
    this.#held = [];
    return from + end + HEAD_END.length - before;
  }

  #takeBody(bytes: Buffer, from: number): number {
    const end = Math.min(bytes.length, from + this.#bodyLeft);
    if (this.#keep && end > from) this.#held.push(Buffer.from(bytes.subarray(from, end)));
    this.#bodyLeft -= end - from;
    if (this.#bodyLeft === 0) this.#answer();
    return end;
  }

  #answer(): void {
    const { method = "", path = "" } = this.#head ?? {};
    const { pathname } = new URL(path, "http://sink");
    const body = Buffer.concat(this.#held);
    this.#held = [];
    this.#head = undefined;
    const ofBucket = /^\/[^/]*\/?$/.test(pathname);
    if (method === "PUT") {
      if (this.#keep) objects.set(pathname, body);
      this.#reply(200);
    } else if (method === "DELETE") {
      objects.delete(pathname);
      this.#reply(204);
    } else if (ofBucket) this.#reply(200, method === "HEAD" ? "" : EMPTY_LISTING);
    else this.#send(objects.get(pathname));
  }

  #send(object: Buffer | undefined): void {
    if (object === undefined) this.#reply(404, "<Error><Code>NoSuchKey</Code></Error>");
    else this.#reply(200, object);
  }

  #reply(status: number, body: Buffer | string = ""): void {
    const lines = [`HTTP/1.1 ${status} `, `Content-Length: ${body.length}`, 'ETag: "0"', "", ""];
    this.#socket.write(Buffer.concat([Buffer.from(lines.join("\r\n")), Buffer.from(body)]));
  }
}

const EMPTY_LISTING =
  '<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>';

const server = createServer((socket) => {
  const connection = new Connection(socket);
  socket.on("data", (bytes: Buffer) => {
    connection.take(bytes);
  });
  socket.on("error", () => socket.destroy());
});
server.listen(0, "127.0.0.1", () => {
  process.send?.((server.address() as AddressInfo).port);
});
process.on("disconnect", () => process.exit());
