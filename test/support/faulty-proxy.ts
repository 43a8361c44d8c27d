import { once } from "node:events";
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** What happens to one request on its way. */
export type Fault =
  /** Answered here, without the server. */
  | { readonly kind: "status"; readonly status: number }
  /** The answer comes so much later. */
  | { readonly kind: "slow"; readonly ms: number }
  /** The connection ends after so many bytes of the answer. */
  | { readonly kind: "cut"; readonly bytes: number }
  /** One bit of this byte of the answer is another one. */
  | { readonly kind: "flip"; readonly at: number }
  /** The connection is reset before anything is answered. */
  | { readonly kind: "reset" }
  /** The server did it, and nobody hears of it. */
  | { readonly kind: "lost" };

/** An HTTP proxy before a server, which does to requests what a test says. */
export interface FaultyProxy extends AsyncDisposable {
  /** `http://127.0.0.1:port` */
  readonly endpoint: string;
  /** Method and path of each request so far. */
  readonly seen: string[];
  /** Decides for each request; undefined lets it pass. */
  plan: (method: string, path: string) => Fault | undefined;
}

export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  const server = createServer((incoming, outgoing) => {
    const [method, path] = [incoming.method ?? "", incoming.url ?? ""];
    proxy.seen.push(`${method} ${path}`);
    const fault = proxy.plan(method, path);
    forward({ incoming, outgoing, target, fault }).catch(() => {
      outgoing.destroy();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const proxy: FaultyProxy = {
    endpoint: `http://127.0.0.1:${port}`,
    seen: [],
    plan: () => undefined,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return proxy;
}

interface Passing {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly target: string;
  readonly fault: Fault | undefined;
}

async function forward({ incoming, outgoing, target, fault }: Passing): Promise<void> {
  const body = Buffer.concat(await Array.fromAsync(incoming as AsyncIterable<Buffer>));
  switch (fault?.kind) {
    case "reset":
      incoming.socket.resetAndDestroy();
      return;
    case "status":
      outgoing.writeHead(fault.status, { "content-type": "application/xml" });
      outgoing.end("<Error><Code>SlowDown</Code><Message>Not now</Message></Error>");
      return;
    default:
      await answerWith(await ask(target, incoming, body), { incoming, outgoing, fault });
  }
}

interface Answer {
  readonly answer: IncomingMessage;
  readonly data: Buffer;
}

async function answerWith(
  { answer, data }: Answer,
  { incoming, outgoing, fault }: Omit<Passing, "target">,
): Promise<void> {
  if (fault?.kind === "lost") {
    incoming.socket.resetAndDestroy();
    return;
  }
  if (fault?.kind === "slow") await sleep(fault.ms);
  if (fault?.kind === "flip" && fault.at < data.length) {
    data[fault.at] = (data[fault.at] ?? 0) ^ 1;
  }
  outgoing.writeHead(answer.statusCode ?? 0, answer.headers);
  if (fault?.kind !== "cut") {
    outgoing.end(data);
    return;
  }
  outgoing.write(data.subarray(0, fault.bytes));
  await sleep(20);
  incoming.socket.destroy();
}

async function ask(
  target: string,
  { method, url, headers }: IncomingMessage,
  body: Buffer,
): Promise<Answer> {
  // The host stays as it was signed.
  const asked = request(new URL(url ?? "/", target), { method: method ?? "GET", headers });
  asked.end(body);
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  return { answer, data: Buffer.concat(await Array.fromAsync(answer as AsyncIterable<Buffer>)) };
}
