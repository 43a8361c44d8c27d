import type { Redis } from "ioredis";
import { log } from "../../base/log.ts";
import type { Notice, Trust } from "../meta.ts";
import type { Ino } from "../types.ts";
import { compareIds, decodeMessage, splitMessage } from "./notice.ts";
import { bytes, list, text } from "./reply.ts";

/**
 * Who says that something kept here is stale. Every changing script announces what it changed, on the volume's channel and
 * in the stream `notices`; official clients announce nothing, so while one of them is there nothing is kept long. Silence is
 * not consent: the subscription is asked every second, and without an answer for the lease time nothing that is kept
 * may be used. One that was interrupted for less reads in the stream what it missed.
 */

const LEASE_MS = 2000;
const PING_MS = 700;
/** Where tracking with REDIRECT sends the names of changed keys. */
const INVALIDATIONS = "__redis__:invalidate";
const STREAM = "notices";
const STREAM_BATCH = 1000;

export interface NoticeListener {
  changed(notice: Notice): void;
  trustChanged(trust: Trust): void;
  /** Somebody dropped a lock of this inode; our own session too. */
  unlocked(ino: Ino): void;
  /** Another session removed the last name of this inode. */
  nameless(ino: Ino): void;
  /** A session came, or its record changed. */
  sessionsChanged(): void;
}

export interface NoticeOptions {
  readonly channel: string;
  readonly sid: bigint;
  readonly listener: NoticeListener;
  /** The last notice that was seen by the process before, which handed over what it kept. */
  readonly last?: string | undefined;
}

/** For the metrics. */
export interface NoticeCounts {
  received: number;
  own: number;
  /** Read from the stream after an interruption. */
  caughtUp: number;
  /** Times that everything kept was given up. */
  dropped: number;
}

export class Notices {
  readonly counts: NoticeCounts = { received: 0, own: 0, caughtUp: 0, dropped: 0 };
  readonly #client: Redis;
  readonly #subscriber: Redis;
  readonly #options: NoticeOptions;
  readonly #timer: NodeJS.Timeout;
  /** When the server last answered while nothing was missed: by the wall clock, and by one that never jumps. */
  #heard = { wall: 0, steady: 0 };
  #last: string | undefined;
  #subscribed = false;
  #interruptions = 0;
  #silent = true;
  /** Why this server cannot do what notices need. */
  #unable: string | undefined;
  #told: Trust = "none";

  constructor(client: Redis, subscriber: Redis, options: NoticeOptions) {
    this.#client = client;
    this.#subscriber = subscriber;
    this.#options = options;
    this.#last = options.last;
    subscriber.on("messageBuffer", (channel: Buffer, message: Buffer | null) => {
      if (channel.toString() === INVALIDATIONS) this.#options.listener.sessionsChanged();
      else if (message !== null) this.#received(message);
    });
    const interrupted = (): void => {
      this.#subscribed = false;
      this.#interruptions++;
    };
    const start = (): void => {
      this.#start();
    };
    for (const connection of [client, subscriber]) {
      connection.on("close", interrupted);
      connection.on("ready", start);
    }
    this.#timer = setInterval(() => {
      this.#ping();
    }, PING_MS);
    this.#timer.unref();
    this.#start();
  }

  /** How far what is kept may be trusted now. Looks at the clock: a process that was stopped has heard nothing. */
  get trust(): Trust {
    if (this.#unable !== undefined) return "short";
    const { wall, steady } = this.#heard;
    const silence = Math.max(Date.now() - wall, performance.now() - steady);
    if (silence > LEASE_MS || wall === 0) return "none";
    return this.#silent ? "short" : "long";
  }

  /** The last notice seen: a successor that starts from it has missed nothing. */
  get last(): string | undefined {
    return this.#last;
  }

  /** Whether somebody has the volume mounted who announces nothing. */
  set silent(silent: boolean) {
    this.#silent = silent;
    this.#tell();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#subscriber.disconnect();
  }

  #start(): void {
    this.#subscribe().catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      if (!/^(NOPERM|ERR (unknown|syntax))/i.test(reason) || this.#unable !== undefined) return;
      this.#unable = reason;
      log.warn({ reason }, "no notices on this Redis: what is read is kept for one second only");
      this.#tell();
    });
  }

  async #subscribe(): Promise<void> {
    const [client, subscriber] = [this.#client, this.#subscriber];
    if (subscriber.status !== "ready" || client.status !== "ready") return;
    const interruptions = this.#interruptions;
    const id = subscriber.mode === "subscriber" ? undefined : await subscriber.client("ID");
    if (id === undefined) {
      // Only the other connection was interrupted: what it asked for is asked for again, with a new subscription.
      subscriber.disconnect(true);
      return;
    }
    const begun = now();
    await subscriber.subscribe(this.#options.channel, INVALIDATIONS);
    await client.call("CLIENT", "TRACKING", "OFF");
    await client.call(
      "CLIENT",
      ...["TRACKING", "ON", "REDIRECT", String(id), "BCAST", "PREFIX", "sessionInfos"],
    );
    // An empty message, which says nothing to anybody, tells whether our scripts may publish.
    await client.publish(this.#options.channel, "");
    await this.#catchUp();
    if (interruptions !== this.#interruptions) return;
    this.#subscribed = true;
    this.#heard = begun;
    this.#options.listener.sessionsChanged();
    this.#tell();
  }

  /** Reads what was announced since the last notice seen. Where that cannot be told, everything kept is given up. */
  async #catchUp(): Promise<void> {
    const newest = await this.#client.callBuffer("XREVRANGE", STREAM, "+", "-", "COUNT", 1);
    const end = list(newest).length === 0 ? "0-0" : text(list(list(newest)[0])[0]);
    const from = this.#last;
    this.#last = end;
    if (from === undefined || from === end) return;
    const oldest = list(await this.#client.callBuffer("XRANGE", STREAM, "-", "+", "COUNT", 1));
    const first = oldest.length === 0 ? undefined : text(list(oldest[0])[0]);
    if (first === undefined || compareIds(first, from) > 0 || compareIds(end, from) < 0) {
      this.#giveUp();
      return;
    }
    for (let at = from; compareIds(at, end) < 0;) {
      const batch = list(
        await this.#client.callBuffer("XRANGE", STREAM, `(${at}`, end, "COUNT", STREAM_BATCH),
      );
      if (batch.length === 0) return;
      for (const item of batch) {
        const [id, fields] = list(item);
        at = text(id);
        this.counts.caughtUp++;
        this.#announced(bytes(list(fields)[1]));
      }
    }
  }

  #giveUp(): void {
    this.#heard = { wall: 0, steady: 0 };
    this.#tell();
  }

  #ping(): void {
    this.#tell();
    if (!this.#subscribed) return;
    const [sent, interruptions] = [now(), this.#interruptions];
    this.#subscriber.ping().then(
      () => {
        if (interruptions === this.#interruptions && this.#subscribed) this.#heard = sent;
        return this.#tell();
      },
      () => undefined,
    );
  }

  #tell(): void {
    const trust = this.trust;
    if (trust === this.#told) return;
    this.#told = trust;
    if (trust !== "long") this.counts.dropped++;
    this.#options.listener.trustChanged(trust);
  }

  #received(message: Buffer): void {
    const parts = splitMessage(message);
    if (parts === undefined) return;
    // Before the stream was read, ids come from there: one that overtakes it would hide what lies between.
    if (this.#subscribed) this.#last = parts.id;
    this.counts.received++;
    this.#announced(parts.body);
  }

  #announced(body: Buffer): void {
    const { sid, notice, unlocked, nameless } = decodeMessage(body);
    for (const ino of unlocked) this.#options.listener.unlocked(ino);
    if (sid === this.#options.sid) {
      this.counts.own++;
      return;
    }
    for (const ino of nameless) this.#options.listener.nameless(ino);
    this.#options.listener.changed(notice);
  }
}

function now(): { wall: number; steady: number } {
  return { wall: Date.now(), steady: performance.now() };
}
