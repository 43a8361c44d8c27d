import type { Redis } from "ioredis";
import { log } from "../../base/log.ts";
import type { Format } from "../format.ts";
import type { Meta, MetaListener } from "../meta.ts";
import { OpenFiles } from "../open-files.ts";
import type { Ino, SessionInfo } from "../types.ts";
import { refusalForWriting, requireCompatible } from "../version-gate.ts";
import { Answers } from "./answers.ts";
import { deleteFile, forgetOpen, hourlyJobs } from "./cleanup.ts";
import { connectRedis, parseMetaUrl } from "./connect.ts";
import type { MetaContext } from "./context.ts";
import { Counters } from "./counters.ts";
import { gatesInUse, loadFormat } from "./format-store.ts";
import { LockWaits } from "./lock-waits.ts";
import { Notices } from "./notices.ts";
import { RedisMeta } from "./redis-meta.ts";
import {
  claim,
  cleanStaleSessions,
  describeSession,
  endSession,
  HEARTBEAT_MS,
  newSession,
  refreshSession,
} from "./sessions.ts";

/** How a mount opens its volume. */
export interface MetaOptions {
  /** As other clients see it in `status`. */
  readonly mountpoint: string;
  readonly readOnly: boolean;
  /** The session of the process before, which is taken over. */
  readonly sid?: bigint | undefined;
  readonly noBgjob?: boolean | undefined;
}

/**
 * The settings of a volume, with a connection that the caller closes.
 *
 * @throws Error in one sentence: no server, wrong password, no volume
 */
export async function openFormat(url: string): Promise<{ format: Format; client: Redis }> {
  const address = parseMetaUrl(url);
  const client = await connectRedis(address);
  try {
    const format = await loadFormat(client);
    if (format !== undefined) return { format, client };
    throw new Error(
      `Cannot open ${address.shown}: there is no volume; make one with juicefs format`,
    );
  } catch (error) {
    client.disconnect();
    throw error;
  }
}

/**
 * Opens a volume's metadata with a session of its own; read-only without one.
 *
 * @throws Error in one sentence: no server, no volume, a volume that this client must not write to
 */
export async function openMeta(
  url: string,
  options: MetaOptions,
  listener: MetaListener,
): Promise<Meta> {
  const { format, client } = await openFormat(url);
  const volume = new OpenVolume(client, format, listener);
  try {
    requireCompatible(format);
    const refusal = refusalForWriting(format, await gatesInUse(client));
    if (refusal !== undefined && !options.readOnly) throw new Error(refusal);
    await volume.start(url, options);
    return volume.meta();
  } catch (error) {
    client.disconnect();
    throw error;
  }
}

/** The running parts of an open volume: session, notices, jobs. */
class OpenVolume {
  readonly #client: Redis;
  readonly #listener: MetaListener;
  #format: Format;
  #context: MetaContext | undefined;
  #notices: Notices | undefined;
  #timer: NodeJS.Timeout | undefined;
  #info: SessionInfo | undefined;
  #deleting = 0;

  constructor(client: Redis, format: Format, listener: MetaListener) {
    this.#client = client;
    this.#format = format;
    this.#listener = listener;
  }

  async start(url: string, options: MetaOptions): Promise<void> {
    const client = this.#client;
    this.#info = describeSession(options.mountpoint);
    const sid = options.readOnly ? 0n : (options.sid ?? (await newSession(client, this.#info)));
    if (sid !== 0n) await refreshSession(client, sid, this.#info);
    const channel = `juicefs:${this.#format.UUID}`;
    const answers = new Answers(client, {
      sid,
      channel,
      options: () => (this.#format.DirStats ? "d" : ""),
    });
    await answers.ready();
    const lockWaits = new LockWaits();
    this.#context = {
      ...{ client, answers, lockWaits, sid, listener: this.#listener },
      trust: () => this.#notices?.trust ?? "none",
      counters: new Counters(client, (action, work) => answers.ask(action, work)),
      openFiles: new OpenFiles(),
      format: () => this.#format,
      deleteFile: (ino, length) => {
        this.#deleteSoon(ino, length);
      },
    };
    const subscriber = await connectRedis(parseMetaUrl(url), { autoResubscribe: false });
    this.#notices = new Notices(client, subscriber, {
      ...{ channel, sid },
      listener: {
        changed: (notice) => {
          this.#listener.changed(notice);
        },
        trustChanged: (trust) => {
          lockWaits.wakeAll();
          this.#listener.trustChanged(trust);
        },
        unlocked: (ino) => {
          lockWaits.wake(ino);
        },
      },
    });
    this.#timer = setInterval(
      () => {
        this.#heartbeat(options).catch((error: unknown) => {
          log.warn({ error }, "heartbeat failed");
        });
      },
      HEARTBEAT_MS * (0.95 + Math.random() * 0.1),
    );
    this.#timer.unref();
  }

  meta(): Meta {
    if (this.#context === undefined || this.#notices === undefined) throw new Error("not started");
    return new RedisMeta(this.#context, this.#notices, () => this.#close());
  }

  #deleteSoon(ino: Ino, length: number): void {
    const context = this.#context;
    if (context === undefined) return;
    this.#deleting++;
    deleteFile(context, ino, length)
      .catch((error: unknown) => {
        log.warn(
          { error, ino: ino.toString() },
          "data of a deleted file stays until the hourly job",
        );
      })
      .finally(() => {
        this.#deleting--;
      });
  }

  async #heartbeat(options: MetaOptions): Promise<void> {
    const context = this.#context;
    if (context === undefined || this.#info === undefined) return;
    const { client, sid } = context;
    if (sid !== 0n) await refreshSession(client, sid, this.#info);
    const format = await loadFormat(client);
    if (format === undefined) {
      this.#listener.volumeGone(`Volume "${this.#format.Name}" was destroyed`);
      return;
    }
    if (format.UUID !== this.#format.UUID) {
      this.#listener.volumeGone(`Volume "${this.#format.Name}" was replaced by another one`);
      return;
    }
    this.#format = format;
    await this.#notices?.lookAround();
    if (sid === 0n) return;
    if (await claim(client, "lastCleanupSessions", HEARTBEAT_MS / 1000)) {
      await cleanStaleSessions(client, sid, (dead, ino) => forgetOpen(context, ino, dead));
    }
    if (options.noBgjob !== true) await hourlyJobs(context);
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    this.#notices?.close();
    const context = this.#context;
    if (context === undefined) return;
    const end = Date.now() + 5000;
    while (this.#deleting > 0 && Date.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    try {
      if (context.sid !== 0n) {
        await endSession(context.client, context.sid, (ino) => forgetOpen(context, ino));
      }
    } finally {
      context.answers.close();
      context.client.disconnect();
    }
  }
}
