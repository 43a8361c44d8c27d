import { Redis } from "ioredis";
import { log } from "../../src/base/log.ts";
import type { Format } from "../../src/meta/format.ts";
import { newFormat, type FormatOptions } from "../../src/meta/format-options.ts";
import type { Meta, MetaListener, Notice, Trust } from "../../src/meta/meta.ts";
import { saveFormat } from "../../src/meta/redis/format-store.ts";
import { openMeta, type MetaOptions } from "../../src/meta/redis/open.ts";
import { startRedis, type TestRedis } from "./redis.ts";

/** A volume's metadata on a server of the test's own. */
export interface TestVolume extends AsyncDisposable {
  readonly server: TestRedis;
  readonly url: string;
  /** Looks at the keys, past the code under test. */
  readonly redis: Redis;
  /** Opens the volume as a mount does; closed with the volume at the latest. */
  readonly open: (options?: Partial<MetaOptions>, url?: string) => Promise<OpenedMeta>;
}

/** What a mount sees: its metadata, and what it was told. */
export interface OpenedMeta {
  readonly meta: Meta;
  readonly notices: Notice[];
  readonly trusts: Trust[];
  readonly deleted: { id: bigint; size: number }[];
  readonly gone: string[];
  /** The settings, each time they were changed. */
  readonly settings: Format[];
  /** One each time the session was lost. */
  readonly lost: true[];
}

export const ROOT_CALLER = { uid: 0, gid: 0, pid: 1 };

export async function makeVolume(
  options: FormatOptions = {},
  server?: TestRedis,
): Promise<TestVolume> {
  log.level = process.env["JUICEFS_LOG_LEVEL"] ?? "error";
  const own = server ?? (await startRedis());
  const url = own.url(1);
  const redis = new Redis(url, { protocol: 2, maxRetriesPerRequest: 1 });
  await saveFormat(redis, newFormat("volume", { bucket: "/tmp/unused", ...options }));
  const opened: Meta[] = [];
  return {
    server: own,
    url,
    redis,
    async open(given = {}, at = url) {
      const told: Omit<OpenedMeta, "meta"> = {
        notices: [],
        trusts: [],
        deleted: [],
        gone: [],
        settings: [],
        lost: [],
      };
      const meta = await openMeta(
        at,
        { mountpoint: "/mnt/test", readOnly: false, noBgjob: true, ...given },
        listenerOf(told),
      );
      opened.push(meta);
      return { meta, ...told };
    },
    async [Symbol.asyncDispose]() {
      await Promise.allSettled(opened.map((meta) => meta.close()));
      redis.disconnect();
      if (server === undefined) await own[Symbol.asyncDispose]();
    },
  };
}

function listenerOf(told: Omit<OpenedMeta, "meta">): MetaListener {
  return {
    changed: (notice) => {
      told.notices.push(notice);
    },
    trustChanged: (trust) => {
      told.trusts.push(trust);
    },
    deleteSlice: (id, size) => {
      told.deleted.push({ id, size });
      return Promise.resolve();
    },
    sessionLost: () => {
      told.lost.push(true);
    },
    settingsChanged: (format) => {
      told.settings.push(format);
    },
    volumeGone: (reason) => {
      told.gone.push(reason);
    },
  };
}
