import { Redis } from "ioredis";
import type { TestRedis } from "./redis.ts";

/** Counts what clients send to a server; what scripts do inside it does not count. */
export interface RoundTrips extends AsyncDisposable {
  /**
   * The commands that arrive while `work` runs, without what goes on all the time: pings, numbers taken in batches; and without
   * the text of a script that the server does not know yet.
   */
  during(work: () => Promise<unknown>): Promise<string[]>;
  /** Until a command with this argument arrives. */
  next(argument: string): Promise<void>;
}

const ALWAYS = new Set(["ping", "incrby", "eval", "info", "client", "command", "publish"]);

export async function countRoundTrips(server: TestRedis): Promise<RoundTrips> {
  const own = new Redis(server.url(), { protocol: 2 });
  const monitor = await own.monitor();
  let seen: string[] = [];
  const marks = new Map<string, () => void>();
  const awaited = new Map<string, () => void>();
  monitor.on("monitor", (_time: string, args: string[], source: string) => {
    const [command = "", first = ""] = args;
    const name = command.toLowerCase();
    for (const argument of args) awaited.get(argument)?.();
    if (name === "echo") marks.get(first)?.();
    else if (source !== "lua" && !ALWAYS.has(name)) seen.push(args.slice(0, 8).join(" "));
  });
  let last = 0;
  const settled = async (): Promise<void> => {
    const mark = `mark ${++last}`;
    const reached = new Promise<void>((resolve) => marks.set(mark, resolve));
    await own.echo(mark);
    await reached;
    marks.delete(mark);
  };
  return {
    async during(work) {
      await settled();
      seen = [];
      await work();
      await settled();
      return seen;
    },
    async next(argument) {
      await new Promise<void>((resolve) => awaited.set(argument, resolve));
      awaited.delete(argument);
    },
    [Symbol.asyncDispose]() {
      monitor.disconnect();
      own.disconnect();
      return Promise.resolve();
    },
  };
}
