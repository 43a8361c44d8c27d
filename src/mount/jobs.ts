import { once } from "node:events";
import { rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { MountJob, MountJobResults } from "../volume/mount-jobs.ts";
import type { Counter, FollowedJob, Progress } from "../volume/progress.ts";
import { JOBS_SOCKET, mountFolder } from "./control.ts";

/**
 * How the process that serves a mount is asked to do something with files: over a Unix socket beside the supervisor's. The job
 * is a line of JSON; how far it is comes back in lines, then what it gave. Whoever asked and goes away ends it.
 */

/** Counter `n` counts `what`; it is at `items` of `total`. */
interface CountLine {
  readonly n: number;
  readonly what: string;
  readonly items: number;
  readonly bytes: number;
  readonly total: number;
}

type JobLine =
  CountLine | { readonly ended: number } | { readonly done: unknown } | { readonly failed: string };

type RunJob = (job: MountJob, options: FollowedJob) => Promise<unknown>;

const TELL_EVERY_MS = 200;

function socketPath(mountpoint: string): string {
  return join(mountFolder(mountpoint), JOBS_SOCKET);
}

/** Takes jobs until it is closed; in place of a process before. */
export async function listenJobs(mountpoint: string, run: RunJob): Promise<Server> {
  const path = socketPath(mountpoint);
  rmSync(path, { force: true });
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    void serveOne(socket, run);
  });
  server.listen(path);
  await once(server, "listening");
  server.unref();
  return server;
}

async function serveOne(socket: Socket, run: RunJob): Promise<void> {
  const gone = new AbortController();
  const leave = (): void => {
    gone.abort(new Error("Whoever asked went away"));
  };
  // Nothing is closed while the answer may still be written: that the other side ended is told by itself.
  socket.once("end", leave);
  socket.once("close", leave);
  const told = new ToldProgress((line) => {
    if (!socket.destroyed) socket.write(`${JSON.stringify(line)}\n`);
  });
  let answer: JobLine;
  try {
    const [line] = (await once(createInterface(socket), "line")) as [string];
    const job = JSON.parse(line) as MountJob;
    answer = { done: await run(job, { progress: told, signal: gone.signal }) };
  } catch (error) {
    answer = { failed: error instanceof Error ? error.message : String(error) };
  }
  told.close();
  if (!socket.destroyed) socket.end(`${JSON.stringify(answer)}\n`);
}

/** Progress as lines, few a second. */
class ToldProgress implements Progress {
  readonly #tell: (line: JobLine) => void;
  readonly #changed = new Map<number, JobLine>();
  readonly #timer: NodeJS.Timeout;
  #last = 0;

  constructor(tell: (line: JobLine) => void) {
    this.#tell = tell;
    this.#timer = setInterval(() => {
      this.#flush();
    }, TELL_EVERY_MS);
  }

  count(what: string, total = 0): Counter {
    const n = ++this.#last;
    let [items, bytes, expected] = [0, 0, total];
    const changed = (): void => {
      this.#changed.set(n, { n, what, items, bytes, total: expected });
    };
    changed();
    return {
      add: (more = 1, moreBytes = 0) => {
        items += more;
        bytes += moreBytes;
        changed();
      },
      expect: (known) => {
        expected = known;
        changed();
      },
      end: () => {
        this.#flush();
        this.#tell({ ended: n });
      },
    };
  }

  close(): void {
    clearInterval(this.#timer);
    this.#flush();
  }

  #flush(): void {
    for (const line of this.#changed.values()) this.#tell(line);
    this.#changed.clear();
  }
}

/**
 * Has a mount do something with its files.
 *
 * @throws Error in one sentence: nobody serves there, or what the job failed with
 */
export async function runOnMount<Name extends MountJob["job"]>(
  mountpoint: string,
  job: MountJob & { readonly job: Name },
  { progress, signal }: FollowedJob,
): Promise<MountJobResults[Name]> {
  const socket = connect(socketPath(mountpoint));
  try {
    await once(socket, "connect", { signal });
    socket.write(`${JSON.stringify(job)}\n`);
    return (await readAnswer(socket, progress, signal)) as MountJobResults[Name];
  } catch (error) {
    signal.throwIfAborted();
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "EACCES") {
      throw new Error(`Cannot ask the mount on "${mountpoint}": run as root`, { cause: error });
    }
    if (!["ENOENT", "ECONNREFUSED"].includes(code)) throw error;
    throw new Error(
      `Cannot ask the mount on "${mountpoint}": no process of this client serves it; use the client that mounted it`,
      { cause: error },
    );
  } finally {
    socket.destroy();
  }
}

async function readAnswer(
  socket: Socket,
  progress: Progress,
  signal: AbortSignal,
): Promise<unknown> {
  const counters = new Map<number, { counter: Counter; items: number; bytes: number }>();
  signal.addEventListener("abort", () => socket.destroy(), { once: true });
  const lines = createInterface(socket);
  // A socket that breaks, or is destroyed, does not tell its end to who reads its lines.
  socket.on("error", () => undefined);
  socket.once("close", () => {
    lines.close();
  });
  for await (const text of lines) {
    const line = JSON.parse(text) as JobLine;
    if ("done" in line) return line.done;
    if ("failed" in line) throw new Error(line.failed);
    if ("ended" in line) counters.get(line.ended)?.counter.end();
    else replay(counters, line, progress);
  }
  signal.throwIfAborted();
  throw new Error("The serving process ended before the job was done: do it again");
}

function replay(
  counters: Map<number, { counter: Counter; items: number; bytes: number }>,
  line: CountLine,
  progress: Progress,
): void {
  const known = counters.get(line.n) ?? {
    ...{ counter: progress.count(line.what, line.total), items: 0, bytes: 0 },
  };
  if (line.total > 0) known.counter.expect(line.total);
  known.counter.add(line.items - known.items, line.bytes - known.bytes);
  counters.set(line.n, { counter: known.counter, items: line.items, bytes: line.bytes });
}
