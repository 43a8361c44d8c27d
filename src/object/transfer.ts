import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { HttpConnection, UnknownFraming } from "./http-connection.ts";
import type { ByteRange } from "./storage.ts";

/**
 * HTTP requests that carry blocks: the body of a GET goes into the caller's buffer, the parts of a PUT go out as they are.
 * Connections are kept.
 */

export interface TransferRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: readonly Uint8Array[];
  /** Where the body of a good answer goes; absent: it is collected. */
  readonly into?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface TransferAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Bytes of the body. */
  readonly length: number;
  /** What was collected: the body of a refusal, or all without `into`. */
  readonly text: Buffer;
}

const SOCKETS = 256;
const COLLECTED_MAX = 64 << 20;

export class Transfer {
  readonly #http = new HttpAgent({ keepAlive: true, maxSockets: SOCKETS, scheduling: "lifo" });
  readonly #https = new HttpsAgent({ keepAlive: true, maxSockets: SOCKETS, scheduling: "lifo" });

  /** Connections in the clear that are not used now, by host; the last one that was used is used first. */
  readonly #idle = new Map<string, HttpConnection[]>();
  /** Hosts that do not tell how long their answers are. */
  readonly #others = new Set<string>();
  #closed = false;

  async send(request: TransferRequest): Promise<TransferAnswer> {
    const { host } = request.url;
    if (!isPlain(request) || this.#others.has(host)) return this.#sendAny(request);
    try {
      return await this.#sendPlain(request);
    } catch (error) {
      if (!(error instanceof UnknownFraming)) throw error;
      this.#others.add(host);
      return this.#sendAny(request);
    }
  }

  async #sendPlain(request: TransferRequest): Promise<TransferAnswer> {
    const { host } = request.url;
    const idle = (this.#idle.get(host) ?? []).filter(({ usable }) => usable);
    this.#idle.set(host, idle);
    const connection = idle.pop() ?? new HttpConnection(request.url);
    const answer = await connection.send(request);
    if (this.#closed) connection.close();
    else if (connection.usable) this.#idle.get(host)?.push(connection);
    return answer;
  }

  /** The way of Node's own client, for all that the other one is not made for. */
  #sendAny(request: TransferRequest): Promise<TransferAnswer> {
    const { url, method, headers, body = [], signal } = request;
    const secure = url.protocol === "https:";
    return new Promise((resolve, reject) => {
      const outgoing = (secure ? httpsRequest : httpRequest)(url, {
        method,
        headers,
        agent: secure ? this.#https : this.#http,
        ...(signal === undefined ? {} : { signal }),
      });
      outgoing.once("error", reject);
      outgoing.once("response", (answer) => {
        receive(answer, request.into).then(resolve, reject);
      });
      for (const part of body) outgoing.write(part);
      outgoing.end();
    });
  }

  close(): void {
    this.#closed = true;
    for (const connection of [...this.#idle.values()].flat()) connection.close();
    this.#http.destroy();
    this.#https.destroy();
  }
}

/** What carries a block in the clear; it may be sent twice. */
function isPlain({ url, method, into }: TransferRequest): boolean {
  return url.protocol === "http:" && (into !== undefined || method === "PUT");
}

export function rangeHeader({ offset, length }: ByteRange): string {
  return `bytes=${offset}-${offset + length - 1}`;
}

function receive(answer: IncomingMessage, into: Uint8Array | undefined): Promise<TransferAnswer> {
  const status = answer.statusCode ?? 0;
  const target = status < 300 ? into : undefined;
  const collected: Buffer[] = [];
  let length = 0;
  return new Promise((resolve, reject) => {
    answer.on("data", (chunk: Buffer) => {
      if (length + chunk.length > (target?.length ?? COLLECTED_MAX)) {
        answer.destroy(new RangeError(`it has more than ${target?.length ?? COLLECTED_MAX} bytes`));
        return;
      }
      if (target === undefined) collected.push(chunk);
      else target.set(chunk, length);
      length += chunk.length;
    });
    answer.once("error", reject);
    answer.once("aborted", () => {
      reject(new Error(`the answer was cut off after ${length} bytes`));
    });
    answer.once("end", () => {
      resolve({ status, headers: answer.headers, length, text: Buffer.concat(collected) });
    });
  });
}
