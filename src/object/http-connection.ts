import { connect, type Socket } from "node:net";
import type { TransferAnswer, TransferRequest } from "./transfer.ts";

/**
 * A connection that carries requests of HTTP/1.1 in the clear, one at a time. The bytes of a block are received where they are
 * wanted: Node's own client makes a piece for every 64 KiB and copies it twice, which is most of the processor time of a
 * read. Good answers must tell their length.
 */

/** The answer is framed in a way that this is not made for; nothing is wrong with it. */
export class UnknownFraming extends Error {
  override readonly name = "UnknownFraming";
}

interface Head {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes; undefined where the body comes in chunks. */
  readonly length: number | undefined;
}

interface Exchange {
  readonly request: TransferRequest;
  readonly done: PromiseWithResolvers<TransferAnswer>;
  head: Head | undefined;
  /** Where the body goes, and how much of it came. */
  target: Uint8Array;
  received: number;
  /** Of a refusal that comes in chunks: what came of it. */
  chunks: Buffer;
}

const SCRATCH_BYTES = 64 << 10;
const HEAD_MAX = 64 << 10;
const COLLECTED_MAX = 64 << 20;
const CHUNKED_MAX = 1 << 20;
const PROBE_IDLE_MS = 60_000;
const END_OF_HEAD = Buffer.from("\r\n\r\n");

export class HttpConnection {
  readonly #socket: Socket;
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #exchange: Exchange | undefined;
  /** A part of a head. */
  #partial: Buffer | undefined;
  #failure: Error | undefined;
  #usable = true;

  constructor({ hostname, port }: URL) {
    this.#socket = connect({
      ...{ host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || "80") },
      ...{ noDelay: true, keepAlive: true, keepAliveInitialDelay: PROBE_IDLE_MS },
      onread: {
        buffer: () => this.#receiveInto(),
        callback: (count, buffer) => this.#received(count, buffer),
      },
    });
    this.#socket.on("error", (error) => {
      this.#failure = error;
    });
    this.#socket.once("close", () => {
      this.#end(this.#failure ?? this.#cutOff());
    });
  }

  /** True while it may carry another request. */
  get usable(): boolean {
    return this.#usable;
  }

  /**
   * Sends a request when none is under way.
   *
   * @throws UnknownFraming
   */
  async send(request: TransferRequest): Promise<TransferAnswer> {
    const { signal } = request;
    signal?.throwIfAborted();
    const done = Promise.withResolvers<TransferAnswer>();
    this.#exchange = { request, done, head: undefined, target: EMPTY, received: 0, chunks: EMPTY };
    const abort = (): void => {
      this.#end(signal?.reason);
    };
    signal?.addEventListener("abort", abort, { once: true });
    this.#socket.ref();
    this.#write(request);
    try {
      return await done.promise;
    } finally {
      signal?.removeEventListener("abort", abort);
      this.#socket.unref();
    }
  }

  close(): void {
    this.#end(new Error("the connection was closed"));
  }

  #write({ method, url, headers, body = [] }: TransferRequest): void {
    const lines = Object.entries({ host: url.host, ...headers }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    );
    const socket = this.#socket;
    socket.cork();
    socket.write(
      `${method} ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join("")}\r\n`,
      "latin1",
    );
    for (const part of body) socket.write(part);
    socket.uncork();
  }

  #receiveInto(): Uint8Array {
    const exchange = this.#exchange;
    const length = exchange?.head?.length;
    if (exchange === undefined || length === undefined) return this.#scratch;
    return exchange.target.subarray(exchange.received, length);
  }

  #received(count: number, buffer: Uint8Array): boolean {
    const exchange = this.#exchange;
    if (exchange === undefined) {
      this.#end(new Error("the server said something that nobody asked for"));
      return false;
    }
    try {
      if (exchange.head === undefined) this.#readHead(exchange, buffer.subarray(0, count));
      else if (exchange.head.length !== undefined) exchange.received += count;
      else readChunks(exchange, buffer.subarray(0, count));
    } catch (error) {
      this.#end(error);
      return false;
    }
    const length = exchange.head?.length;
    if (exchange.head !== undefined && exchange.received === length) {
      this.#answered(exchange, exchange.head);
    }
    return this.#usable;
  }

  #readHead(exchange: Exchange, bytes: Uint8Array): void {
    const came = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const all = this.#partial === undefined ? came : Buffer.concat([this.#partial, came]);
    this.#partial = undefined;
    const end = all.indexOf(END_OF_HEAD);
    if (end < 0) {
      if (all.length > HEAD_MAX) throw new UnknownFraming("its head is too long");
      this.#partial = Buffer.from(all);
      return;
    }
    const rest = all.subarray(end + END_OF_HEAD.length);
    const head = parseHead(all.toString("latin1", 0, end), exchange.request.method);
    if (head === undefined) {
      // An interim answer: the one that counts follows.
      if (rest.length > 0) this.#readHead(exchange, rest);
      return;
    }
    exchange.head = head;
    if (head.length === undefined) {
      readChunks(exchange, rest);
      return;
    }
    exchange.target = targetOf(exchange.request, head.status, head.length);
    if (rest.length > head.length) throw new Error("it has more bytes than it says");
    exchange.target.set(rest);
    exchange.received = rest.length;
  }

  #answered({ request, done, target, received }: Exchange, head: Head): void {
    this.#exchange = undefined;
    const { status, headers } = head;
    const goesOn = headers["connection"]?.toLowerCase() !== "close";
    // An answer that came before all was sent is a refusal: what is still on its way would be taken for another request.
    if (!goesOn || this.#socket.writableLength > 0) this.#end(undefined);
    const kept = target === request.into;
    const text = kept ? EMPTY : Buffer.from(target.buffer, target.byteOffset, received);
    done.resolve({ status, headers, length: received, text });
  }

  #cutOff(): Error {
    if (this.#exchange?.head === undefined) return new Error("the connection was closed");
    return new Error(`the answer was cut off after ${this.#exchange.received} bytes`);
  }

  #end(error: unknown): void {
    this.#usable = false;
    this.#socket.destroy();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.done.reject(error);
  }
}

const EMPTY = Buffer.alloc(0);

/** The body of a good answer goes where it is wanted, another one is collected. */
function targetOf({ into }: TransferRequest, status: number, length: number): Uint8Array {
  const max = into === undefined || status >= 300 ? COLLECTED_MAX : into.length;
  if (length > max) throw new RangeError(`it has more than ${max} bytes`);
  return into === undefined || status >= 300 ? Buffer.allocUnsafeSlow(length) : into;
}

/** Takes bytes of a refusal that comes in chunks; when the last one is there its length is known. */
function readChunks(exchange: Exchange, bytes: Uint8Array): void {
  exchange.chunks = Buffer.concat([exchange.chunks, bytes]);
  if (exchange.chunks.length > CHUNKED_MAX) throw new UnknownFraming("its refusal is too long");
  const body = joinChunks(exchange.chunks);
  if (body === undefined || exchange.head === undefined) return;
  exchange.head = { ...exchange.head, length: body.length };
  exchange.target = body;
  exchange.received = body.length;
}

/** @returns undefined where the last chunk is missing */
function joinChunks(bytes: Buffer): Buffer | undefined {
  const parts: Buffer[] = [];
  for (let at = 0; ;) {
    const line = bytes.indexOf("\r\n", at);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.toString("latin1", at, line), 16);
    if (Number.isNaN(size)) throw new UnknownFraming("its chunks are not understood");
    at = line + 2;
    if (bytes.length < at + size + 2) return undefined;
    if (size === 0) return Buffer.concat(parts);
    parts.push(bytes.subarray(at, at + size));
    at += size + 2;
  }
}

/** @returns undefined for an interim answer @throws UnknownFraming */
function parseHead(text: string, method: string): Head | undefined {
  const [first = "", ...lines] = text.split("\r\n");
  const status = Number(/^HTTP\/1\.1 (\d{3})\b/.exec(first)?.[1]);
  if (Number.isNaN(status)) throw new UnknownFraming(`it begins with "${first.slice(0, 50)}"`);
  if (status < 200) return undefined;
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  const bodiless = method === "HEAD" || status === 204 || status === 304;
  return { status, headers, length: bodiless ? 0 : bodyLength(status, headers) };
}

/** @throws UnknownFraming */
function bodyLength(status: number, headers: Readonly<Record<string, string>>): number | undefined {
  const coding = headers["transfer-encoding"];
  if (coding === "chunked" && status >= 300) return undefined;
  const length = headers["content-length"] ?? "";
  if (!/^\d+$/.test(length) || coding !== undefined) {
    throw new UnknownFraming("its length is not told");
  }
  return Number(length);
}
