import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** What a connection through the proxy is for; it shows when somebody subscribes on it. */
export type Purpose = "commands" | "notices";

/** A way to a Redis that can be made slow, deaf or broken, for commands and notices apart. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Answers come so much later from now on. */
  delay(purpose: Purpose, ms: number): void;
  /** Nothing gets through any more, and nobody is told; what is sent meanwhile comes when it is `false` again. */
  hold(purpose: Purpose, held: boolean): void;
  /** Ends the connections there are. */
  cut(): void;
  /** Connections that are made from now on lead to another port. */
  redirect(target: number): void;
}

interface Passage {
  purpose: Purpose;
  readonly sides: readonly Socket[];
  /** What waits for its time, in order. */
  readonly waiting: { at: number; run: () => void }[];
}

const LOOK_MS = 1;

export async function startProxy(first: number): Promise<TcpProxy> {
  let target = first;
  const passages = new Set<Passage>();
  const delays: Record<Purpose, number> = { commands: 0, notices: 0 };
  const held: Record<Purpose, boolean> = { commands: false, notices: false };
  const flush = (): void => {
    const now = performance.now();
    for (const { waiting, purpose } of passages) {
      while (!held[purpose] && (waiting[0]?.at ?? Infinity) <= now) waiting.shift()?.run();
    }
  };
  const timer = setInterval(flush, LOOK_MS);
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ port: target, host: "127.0.0.1", noDelay: true });
    const passage: Passage = { purpose: "commands", sides: [client, upstream], waiting: [] };
    passages.add(passage);
    const pass = (to: Socket, data: Buffer, delayMs: number): void => {
      const run = (): void => {
        if (!to.destroyed) to.write(data);
      };
      if (delayMs === 0 && !held[passage.purpose] && passage.waiting.length === 0) run();
      else passage.waiting.push({ at: performance.now() + delayMs, run });
    };
    client.on("data", (data) => {
      if (data.includes("subscribe")) passage.purpose = "notices";
      pass(upstream, data, 0);
    });
    upstream.on("data", (data) => {
      pass(client, data, delays[passage.purpose]);
    });
    const end = (): void => {
      passages.delete(passage);
      client.destroy();
      upstream.destroy();
    };
    for (const side of passage.sides) side.on("error", end).on("close", end);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    delay(purpose, ms) {
      delays[purpose] = ms;
    },
    hold(purpose, isHeld) {
      held[purpose] = isHeld;
    },
    cut() {
      for (const { sides } of passages) for (const side of sides) side.destroy();
    },
    redirect(port) {
      target = port;
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      for (const { sides } of passages) for (const side of sides) side.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
