import { connect } from "node:net";
import { makeFolder } from "./folder.ts";
import { freePort, startProgram, until } from "./process.ts";

/** A redis-server of the test's own; database numbers 0 to 15. */
export interface TestRedis extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  /** `redis://127.0.0.1:port/db` */
  url(database?: number): string;
  /** Ends it as a crash does (`SIGKILL`) or in order. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<void>;
}

/** Starts one that keeps nothing on disk; `args` are options of redis-server, such as `--requirepass`. */
export async function startRedis(
  options: { args?: readonly string[]; port?: number } = {},
): Promise<TestRedis> {
  const folder = await makeFolder();
  const port = options.port ?? (await freePort());
  const program = startProgram(
    "redis-server",
    `--port ${port} --bind 127.0.0.1 --dir ${folder.path} --appendonly no --save`
      .split(" ")
      .concat("", options.args ?? []),
    { stdio: "ignore" },
  );
  await until(`redis-server on port ${port}`, () => answers(port));
  return {
    port,
    pid: program.child.pid ?? 0,
    url: (database = 0) => `redis://127.0.0.1:${port}/${database}`,
    stop: program.stop,
    async [Symbol.asyncDispose]() {
      await program.stop("SIGKILL");
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** True when somebody listens on the port. */
export function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => {
      resolve(false);
    });
  });
}
