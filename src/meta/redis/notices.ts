import type { Redis } from "ioredis";
import { log } from "../../base/log.ts";
import { isTrash } from "../limits.ts";
import type { Notice, Trust } from "../meta.ts";
import type { Ino } from "../types.ts";
import type { Maybe } from "../../base/maybe.ts";
import { compareIds, decodeMessage, isEcho, splitMessage, type Message } from "./notice.ts";
import { firstNotice, newestNotice, readNotices } from "./notice-stream.ts";
import { Unexplained, watched, type Neighbours } from "./unexplained.ts";

/**
 * Who says that something kept here is stale. Every changing script announces what it changed, on the volume's channel and
 * in the stream `notices`; official clients announce nothing: the keys they change are told by the server, but not as surely,
 * so while one of them is there nothing is kept long. Silence is
 * not consent: the subscription is asked every second, and without an answer for the lease time nothing that is kept
 * may be used. One that was interrupted for less reads in the stream what it missed.
 */

const LEASE_MS = 2000;
const PING_MS = 600;
/** Between two looks at the clock. */
const LOOK_MS = 200;
/** Where tracking with REDIRECT sends the names of changed keys. */
const INVALIDATIONS = "__redis__:invalidate";
/** After so long somebody who waits for a notice looks for it in the stream. */
const OVERDUE_MS = 50;
/** Between two tries to subscribe. */
const AGAIN_MS = 1000;

export interface NoticeListener {
  changed(notice: Notice): void;
  trustChanged(trust: Trust): void;
  /** Notices were missed for a moment and read afterwards; what was not announced may have been missed for good. */
  interrupted(): void;
  /** Somebody dropped a lock of this inode; our own session too. */
  unlocked(ino: Ino): void;
  /** Another session removed the last name of this inode. */
  nameless(ino: Ino): void;
  /** A session came or its record changed, or the volume's settings did. */
  sessionsChanged(): void;
}

export interface NoticeOptions {
  readonly channel: string;
  readonly sid: bigint;
  readonly listener: NoticeListener;
  /** The last notice that was seen by the process before, which handed over what it kept. */
  readonly last?: string | undefined;
}

export class Notices {
  readonly counts = { received: 0, own: 0, unexplained: 0, caughtUp: 0 };
  readonly #client: Redis;
  readonly #subscriber: Redis;
  readonly #options: NoticeOptions;
  readonly #timer: NodeJS.Timeout;
  /** When the server last answered while nothing was missed: by the wall clock, and by one that never jumps. */
  #heard = { wall: 0, steady: 0 };
  #last: string | undefined;
  /** The last one heard before what was missed is read. */
  #overheard: string | undefined;
  #subscribed = false;
  #pingedAt = 0;
  #interruptions = 0;
  /** Until it is known who else is there. */
  #neighbours: Neighbours = { silent: true, crowded: false };
  /** Nobody else has the volume mounted, as far as is known. */
  #alone = false;
  /** Beginnings of the names of keys that the server was asked to tell. */
  #watched: readonly string[] = [];
  #subscriberId = "";
  /** Why this server cannot do what notices need. */
  #unable: string | undefined;
  #told: Trust = "none";
  #unexplained = new Unexplained(this.#watched);
  /** Who waits until a notice was heard. */
  #waiting: { id: string; resolve: () => void }[] = [];
  /** Who waits until everything was. */
  readonly #asking = new Set<(heard: boolean) => void>();
  #looking: NodeJS.Timeout | undefined;
  #starting: NodeJS.Timeout | undefined;

  constructor(client: Redis, subscriber: Redis, options: NoticeOptions) {
    this.#client = client;
    this.#subscriber = subscriber;
    this.#options = options;
    this.#last = options.last;
    subscriber.on("messageBuffer", (channel: Buffer, message: Buffer | Buffer[] | null) => {
      if (channel.toString() === INVALIDATIONS) this.#keysChanged(message as Buffer[] | null);
      else if (Buffer.isBuffer(message)) this.#received(message);
    });
    const interrupted = (): void => {
      this.#subscribed = false;
      this.#overheard = undefined;
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
      this.#look();
    }, LOOK_MS);
    this.#timer.unref();
    this.#start();
  }

  /** How far what is kept may be trusted now. Looks at the clock: a process that was stopped has heard nothing. */
  get trust(): Trust {
    if (this.#unable !== undefined) return "short";
    const { wall, steady } = this.#heard;
    const silence = Math.max(Date.now() - wall, performance.now() - steady);
    if (silence > LEASE_MS || wall === 0) return "none";
    return this.#neighbours.silent ? "short" : "long";
  }

  /** How many changes were heard of, in whatever way. */
  get heardOf(): number {
    return this.counts.received + this.counts.unexplained + this.counts.caughtUp;
  }

  /** The last notice seen: a successor that starts from it has missed nothing. */
  get last(): string | undefined {
    return this.#last;
  }

  set neighbours(neighbours: Neighbours & { readonly companions: number }) {
    this.#neighbours = neighbours;
    this.#alone = !neighbours.silent && neighbours.companions === 0;
    this.#watchAnew();
    this.#tell();
  }

  /** Settles when every notice up to this one was heard, or nothing kept may be used any more. */
  reached(id: string): Maybe<void> {
    if (this.#isReached(id)) return undefined;
    this.#lookSoon();
    return new Promise((resolve) => {
      this.#waiting.push({ id, resolve });
    });
  }

  /**
   * Whether everything was heard that others had done `withinMs` before it is asked: at once where nobody else is there. What the
   * server answers on the subscription comes behind what it told there before.
   *
   * @returns false where that cannot be told
   */
  heardAll(withinMs: number): Maybe<boolean> {
    if (this.#unable !== undefined || !this.#subscribed) return false;
    if (this.#alone || performance.now() - this.#heard.steady < withinMs) return true;
    return new Promise((resolve) => {
      const settle = (heard: boolean): void => {
        this.#asking.delete(settle);
        resolve(heard);
      };
      this.#asking.add(settle);
      void this.#ping().then(settle);
    });
  }

  /** One whose sender may not publish is found in the stream only. */
  #lookSoon(): void {
    this.#looking ??= setTimeout(() => {
      this.#readMissed().catch(() => undefined);
    }, OVERDUE_MS);
  }

  async #readMissed(): Promise<void> {
    try {
      if (this.#subscribed && this.#waiting.length > 0) {
        const all = await this.#readOn(await newestNotice(this.#client));
        if (!all) this.#giveUp();
      }
    } finally {
      this.#looking = undefined;
      this.#wake();
      if (this.#waiting.length > 0) this.#lookSoon();
    }
  }

  #isReached(id: string): boolean {
    if (this.trust === "none" || this.#unable !== undefined) return true;
    return this.#subscribed && this.#last !== undefined && compareIds(this.#last, id) >= 0;
  }

  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#looking);
    clearTimeout(this.#starting);
    this.#subscriber.disconnect();
  }

  #start(): void {
    this.#subscribe().catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      if (this.#unable !== undefined) return;
      if (!/^(NOPERM|ERR (unknown|syntax))/i.test(reason)) {
        this.#startAgain();
        return;
      }
      this.#unable = reason;
      log.warn({ reason }, "no notices on this Redis: what is read is kept for one second only");
      this.#tell();
    });
  }

  /** What the server refused for a moment: the connections last, so nothing else would begin it anew. */
  #startAgain(): void {
    clearTimeout(this.#starting);
    this.#starting = setTimeout(() => {
      if (!this.#subscribed) this.#start();
    }, AGAIN_MS);
    this.#starting.unref();
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
    this.#subscriberId = String(id);
    await this.#watch();
    // An empty message, which says nothing to anybody, tells whether our scripts may publish.
    await client.publish(this.#options.channel, "");
    await this.#catchUp();
    if (interruptions !== this.#interruptions) return;
    // What came meanwhile, newer than the end of the stream, was heard.
    if (this.#overheard !== undefined) this.#advance(this.#overheard);
    this.#subscribed = true;
    this.#heard = begun;
    this.#watchAnew();
    this.#options.listener.sessionsChanged();
    this.#tell();
    this.#wake();
  }

  #watchAnew(): void {
    const { length } = watched(this.#neighbours);
    // Where it fails the subscription is made anew, and asks for that.
    if (this.#subscribed && length !== this.#watched.length) this.#watch().catch(() => undefined);
  }

  /** Asks the server to tell the names of keys that change. */
  async #watch(): Promise<void> {
    this.#watched = watched(this.#neighbours);
    const prefixes = this.#watched.flatMap((beginning) => ["PREFIX", beginning]);
    this.#unexplained = new Unexplained(this.#watched);
    const on = ["TRACKING", "ON", "REDIRECT", this.#subscriberId, "BCAST", ...prefixes];
    // Sent together: little happens between them.
    await Promise.all([
      this.#client.call("CLIENT", "TRACKING", "OFF"),
      this.#client.call("CLIENT", ...on),
    ]);
  }

  /** Reads what was announced since the last notice seen. Where that cannot be told, everything kept is given up. */
  async #catchUp(): Promise<void> {
    const writes = this.#options.sid !== 0n;
    const end = await (writes ? firstNotice : newestNotice)(this.#client);
    if (this.#last !== undefined) {
      this.#options.listener.interrupted();
      if (!(await this.#readOn(end))) this.#giveUp();
    }
    this.#last = end;
  }

  async #readOn(end: string): Promise<boolean> {
    const from = this.#last ?? end;
    return readNotices(this.#client, { from, end }, (id, message) => {
      this.#advance(id);
      this.counts.caughtUp++;
      this.#announced(message);
    });
  }

  #advance(id: string): void {
    if (this.#last === undefined || compareIds(id, this.#last) > 0) this.#last = id;
  }

  #giveUp(): void {
    this.#heard = { wall: 0, steady: 0 };
    this.#tell();
  }

  #look(): void {
    this.#tell();
    if (!this.#subscribed || performance.now() - this.#pingedAt < PING_MS) return;
    void this.#ping();
  }

  /** Asks the server for a sign of life. @returns whether nothing was missed until it came */
  async #ping(): Promise<boolean> {
    const [sent, interruptions] = [now(), this.#interruptions];
    this.#pingedAt = sent.steady;
    try {
      await this.#subscriber.ping();
    } catch {
      return false;
    }
    const heard = interruptions === this.#interruptions && this.#subscribed;
    if (heard) this.#heard = sent;
    this.#tell();
    return heard;
  }

  #tell(): void {
    const trust = this.trust;
    if (trust === this.#told) return;
    this.#told = trust;
    if (trust === "none") {
      this.#wake();
      for (const settle of this.#asking) settle(false);
    }
    this.#options.listener.trustChanged(trust);
  }

  #received(received: Buffer): void {
    const parts = splitMessage(received);
    if (parts === undefined) return;
    // Before the stream was read, ids come from there: one that overtakes it would hide what lies between.
    if (this.#subscribed) this.#last = parts.id;
    else this.#overheard = parts.id;
    this.counts.received++;
    if (!this.#unexplained.needed && isEcho(parts.body, this.#options.sid)) {
      this.counts.own++;
    } else {
      const message = decodeMessage(parts.body);
      this.#unexplained.explain(message);
      this.#announced(message);
    }
    if (this.#waiting.length > 0) this.#wake();
  }

  /** Lets those go on who wait for what was heard. */
  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ id }) => !this.#isReached(id));
    for (const { id, resolve } of waiting) if (this.#isReached(id)) resolve();
  }

  #keysChanged(keys: readonly Buffer[] | null): void {
    if (keys === null) {
      // Somebody emptied the database.
      this.#giveUp();
      this.#options.listener.sessionsChanged();
      return;
    }
    const { notice, locks, sessions } = this.#unexplained.take(keys);
    if (sessions) {
      this.#alone = false;
      this.#options.listener.sessionsChanged();
    }
    if (this.#neighbours.silent) for (const ino of locks) this.#options.listener.unlocked(ino);
    if (notice === undefined) return;
    this.counts.unexplained += notice.attrs.length + notice.slices.length;
    this.counts.unexplained += notice.directories.length + notice.xattrs.length;
    this.#options.listener.changed(notice);
  }

  #announced({ sid, notice, unlocked, nameless }: Message): void {
    for (const ino of unlocked) this.#options.listener.unlocked(ino);
    if (sid === this.#options.sid) {
      this.counts.own++;
      const unasked = inTrash(notice);
      if (unasked !== undefined) this.#options.listener.changed(unasked);
      return;
    }
    for (const ino of nameless) this.#options.listener.nameless(ino);
    this.#options.listener.changed(notice);
  }
}

/** What happens in the trash nobody here asked for: folders are made for what is removed, jobs empty them. */
function inTrash(notice: Notice): Notice | undefined {
  const entries = notice.entries.filter(({ parent }) => isTrash(parent));
  if (entries.length === 0) return undefined;
  const attrs = entries.length === notice.entries.length ? notice.attrs : [];
  return { ...notice, attrs, entries, data: [], slices: [], xattrs: [] };
}

function now(): { wall: number; steady: number } {
  return { wall: Date.now(), steady: performance.now() };
}
