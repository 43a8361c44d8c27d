import { stat } from "node:fs/promises";
import { join } from "node:path";
import { Redis } from "ioredis";
import {
  formatTestVolume,
  mountVolume,
  type TestMount,
  type TestVolumeOnDisk,
  type VolumeOptions,
} from "./mount.ts";
import { until } from "./process.ts";

/** One volume that two of our mounts show, as on two hosts. */
export interface Pair extends AsyncDisposable {
  readonly volume: TestVolumeOnDisk;
  readonly one: TestMount;
  readonly two: TestMount;
}

export interface PairOptions extends VolumeOptions {
  /** Options of both mounts. */
  readonly mount?: readonly string[];
  /** How the second one reaches Redis, such as through a proxy. */
  readonly secondUrl?: (volume: TestVolumeOnDisk) => Promise<string>;
}

export async function mountPair({
  mount = [],
  secondUrl,
  ...options
}: PairOptions = {}): Promise<Pair> {
  const stack = new AsyncDisposableStack();
  try {
    const volume = stack.use(await formatTestVolume(options));
    const metaUrl = (await secondUrl?.(volume)) ?? volume.metaUrl;
    // What one has read or written is in no cache of the other.
    const cache = (name: string): string[] => ["--cache-dir", join(volume.folder, "cache", name)];
    const [one, two] = await Promise.all([
      mountVolume(volume, [...cache("one"), ...mount]),
      mountVolume({ ...volume, metaUrl }, [...cache("two"), ...mount]),
    ]);
    stack.use(one);
    stack.use(two);
    await settled(volume, [one.path, two.path]);
    return { volume, one, two, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Until each of the mounts knows that nobody is there who announces nothing: then it keeps what it read. */
export async function settled(
  { server }: Pick<TestVolumeOnDisk, "server">,
  paths: readonly string[],
): Promise<void> {
  const redis = new Redis(server.url(), { protocol: 2 });
  const reads = async (): Promise<number> => {
    const info = await redis.info("commandstats");
    return Number(/cmdstat_get:calls=(\d+)/.exec(info)?.[1] ?? 0);
  };
  try {
    for (const path of paths) {
      await until(`${path} keeps what it read`, async () => {
        await stat(path);
        const before = await reads();
        await stat(path);
        await stat(path);
        return (await reads()) === before;
      });
    }
  } finally {
    redis.disconnect();
  }
}
