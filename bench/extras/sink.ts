import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { formatTestVolume, mountVolume, type TestVolumeOnDisk } from "../../test/support/mount.ts";
import { mountTable } from "../../src/options/mount.ts";
import { familyOf, mainThreadSeconds, cpuSeconds } from "../counters/processes.ts";
import { LoadPool } from "../load/pool.ts";
import { median } from "../measurement.ts";
import { short } from "../report/table.ts";
import type { Extra, ExtraOptions, ExtraResult } from "./extra.ts";

/**
 * How quick our client writes in order when the object store costs nothing, and how busy the thread that serves the kernel is
 * meanwhile, by the number of worker threads.
 */
export const sink: Extra = {
  name: "sink",
  title: "sequential write into a store that answers at once",
  measure,
};

const PROGRAM = fileURLToPath(new URL("sink-server.ts", import.meta.url));
const MIB = 1 << 20;
const BYTES = { full: 1024 * MIB, quick: 256 * MIB };

interface Write {
  /** Undefined: the client has no such option. */
  readonly threads: number | undefined;
  readonly round: number;
  readonly mibPerSecond: number;
  /** CPU seconds a second of the serving process's main thread, and of all of its threads. */
  readonly mainBusy: number;
  readonly allBusy: number;
}

async function measure(options: ExtraOptions): Promise<ExtraResult> {
  await using store = await startSink();
  await using volume = await formatTestVolume({
    format: [
      ...["--storage", "minio", "--bucket", `http://127.0.0.1:${store.port}/sink`],
      ...["--access-key", "anybody", "--secret-key", "anything"],
    ],
  });
  const option = Object.keys(mountTable).find((name) => name.endsWith("threads"));
  const counts = option === undefined ? [undefined] : options.threads;
  const writes: Write[] = [];
  for (const threads of counts) {
    const args = option === undefined ? [] : [`--${option}`, String(threads)];
    writes.push(...(await measureWrites(volume, { threads, args, options })));
  }
  return resultOf(writes);
}

async function measureWrites(
  volume: TestVolumeOnDisk,
  {
    threads,
    args,
    options: { rounds, quick, env, signal },
  }: { threads: number | undefined; args: string[]; options: ExtraOptions },
): Promise<Write[]> {
  await using pool = new LoadPool();
  await using mount = await mountVolume(volume, args, env);
  // The supervisor comes first, then its only child.
  const pids = familyOf(mount.supervisor.child.pid ?? 0).slice(1, 2);
  const writes: Write[] = [];
  for (let round = 0; round <= rounds; round++) {
    signal.throwIfAborted();
    const folder = join(mount.path, `${threads ?? "none"}-${round}`);
    await mkdir(folder);
    const bytes = quick ? BYTES.quick : BYTES.full;
    const before = { main: mainThreadSeconds(pids), all: cpuSeconds(pids) };
    const { operations, seconds } = await pool.run([
      { kind: "writeStream", folder, prefix: "file", count: 1, bytes },
    ]);
    const mainBusy = (mainThreadSeconds(pids) - before.main) / seconds;
    const allBusy = (cpuSeconds(pids) - before.all) / seconds;
    if (round > 0) {
      writes.push({ threads, round, mibPerSecond: operations / seconds, mainBusy, allBusy });
    }
  }
  return writes;
}

function resultOf(writes: readonly Write[]): ExtraResult {
  const counts = [...new Set(writes.map(({ threads }) => threads))];
  const rows = counts.map((threads) => {
    const of = (value: (write: Write) => number): number =>
      median(writes.filter((write) => write.threads === threads).map(value));
    const share = (busy: number): string => `${Math.round(busy * 100)} %`;
    return [
      threads === undefined ? "no option for it" : String(threads),
      short(of(({ mibPerSecond }) => mibPerSecond)),
      share(of(({ mainBusy }) => mainBusy)),
      short(of(({ mainBusy, mibPerSecond }) => (mainBusy / mibPerSecond) * 1000)),
      share(of(({ allBusy }) => allBusy)),
    ];
  });
  return {
    rows: [
      ["worker threads", "MiB/s", "serving thread busy", "its CPU ms a MiB", "all threads busy"],
      ...rows,
    ],
    note: "One file, 1 MiB requests, close included.",
    data: writes,
  };
}

async function startSink(): Promise<{ port: number } & AsyncDisposable> {
  const server = fork(PROGRAM);
  const [port] = (await once(server, "message")) as [number];
  return {
    port,
    async [Symbol.asyncDispose]() {
      const gone = once(server, "exit");
      server.disconnect();
      await gone;
    },
  };
}
