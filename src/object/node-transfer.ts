import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { TransferAnswer, TransferRequest } from "./transfer.ts";

/** HTTP requests by Node's own client, encrypted or not, with answers framed in any way. */

const SOCKETS = 256;
const COLLECTED_MAX = 64 << 20;

export class NodeTransfer {
  readonly #http = new HttpAgent({ keepAlive: true, maxSockets: SOCKETS, scheduling: "lifo" });
  readonly #https = new HttpsAgent({ keepAlive: true, maxSockets: SOCKETS, scheduling: "lifo" });

  send(request: TransferRequest): Promise<TransferAnswer> {
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
    this.#http.destroy();
    this.#https.destroy();
  }
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
