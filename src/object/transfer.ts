import { HttpConnection, UnknownFraming } from "./http-connection.ts";
import type { NodeTransfer } from "./node-transfer.ts";
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

export class Transfer {
  /** Node's own client, for all that the other one is not made for; loaded when it is needed first, for it takes its time. */
  #others: Promise<NodeTransfer> | undefined;
  /** Connections in the clear that are not used now, by host; the last one that was used is used first. */
  readonly #idle = new Map<string, HttpConnection[]>();
  /** Hosts that do not tell how long their answers are. */
  readonly #unframed = new Set<string>();
  #closed = false;

  async send(request: TransferRequest): Promise<TransferAnswer> {
    const { host } = request.url;
    if (!isPlain(request) || this.#unframed.has(host)) return this.#sendAny(request);
    try {
      return await this.#sendPlain(request);
    } catch (error) {
      if (!(error instanceof UnknownFraming)) throw error;
      this.#unframed.add(host);
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

  async #sendAny(request: TransferRequest): Promise<TransferAnswer> {
    this.#others ??= import("./node-transfer.ts").then((module) => new module.NodeTransfer());
    const others = await this.#others;
    return others.send(request);
  }

  close(): void {
    this.#closed = true;
    for (const connection of [...this.#idle.values()].flat()) connection.close();
    this.#others?.then(
      (others) => {
        others.close();
      },
      () => undefined,
    );
  }
}

/** What carries a block in the clear; it may be sent twice. */
function isPlain({ url, method, into }: TransferRequest): boolean {
  return url.protocol === "http:" && (into !== undefined || method === "PUT");
}

export function rangeHeader({ offset, length }: ByteRange): string {
  return `bytes=${offset}-${offset + length - 1}`;
}
