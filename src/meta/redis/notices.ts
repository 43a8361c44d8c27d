import type { Redis } from "ioredis";
import { log } from "../../base/log.ts";
import { CLIENT_MARK } from "../../base/version.ts";
import type { Notice, Trust } from "../meta.ts";
import type { Ino } from "../types.ts";

/**
 * Who says that something kept here is stale. Every changing script announces on the volume's channel; official
 * clients announce nothing, so while one of them is there nothing is kept long. Silence is not consent: the subscription is asked
 * every second, and without an answer for the lease time nothing kept may be used.
 *
 * A message is `<stream id> <sid u64><note>...`; a note is a letter and an inode (u64): `a` attributes, `d` data,
 * `x` extended attributes, `l` a lock was dropped; `e` is followed by the length (u8) and the bytes of a name.
 */

const LEASE_MS = 2000;
const PING_MS = 700;
const INVALIDATIONS = "__redis__:invalidate";

export interface NoticeListener {
  changed(notice: Notice): void;
  trustChanged(trust: Trust): void;
  /** Somebody dropped a lock of this inode. */
  unlocked(ino: Ino): void;
}

/** What came in and what was of use, for the metrics. */
export interface NoticeCounts {
  received: number;
  own: number;
  lost: number;
}

export class Notices {
  readonly counts: NoticeCounts = { received: 0, own: 0, lost: 0 };
  readonly #client: Redis;
  readonly #subscriber: Redis;
  readonly #options: { channel: string; sid: bigint; listener: NoticeListener };
  readonly #timer: NodeJS.Timeout;
  /** Of the subscriber's connection, for the redirection of invalidations. */
  #id = "";
  #heard = 0;
  #subscribed = false;
  #foreign = true;
  #forbidden = false;
  #told: Trust = "none";

  constructor(
    client: Redis,
    subscriber: Redis,
    options: { channel: string; sid: bigint; listener: NoticeListener },
  ) {
    this.#client = client;
    this.#subscriber = subscriber;
    this.#options = options;
    subscriber.on("messageBuffer", (channel: Buffer, message: Buffer | null) => {
      this.#received(channel.toString(), message);
    });
    subscriber.on("close", () => {
      this.#subscribed = false;
      this.counts.lost++;
      this.#tell();
    });
    subscriber.on("ready", () => {
      this.#start();
    });
    client.on("ready", () => {
      this.#start();
    });
    this.#timer = setInterval(() => {
      this.#ping();
    }, PING_MS);
    this.#timer.unref();
    this.#start();
  }

  /** How far what is kept may be trusted now. Looks at the clock: a process that was stopped has heard nothing. */
  get trust(): Trust {
    if (this.#forbidden) return "short";
    if (!this.#subscribed || Date.now() - this.#heard > LEASE_MS) return "none";
    return this.#foreign ? "short" : "long";
  }

  /** Looks again who else has the volume mounted. */
  async lookAround(): Promise<void> {
    const [infos, alive] = await Promise.all([
      this.#client.hgetall("sessionInfos"),
      this.#client.zrangebyscore("allSessions", Math.floor(Date.now() / 1000), "+inf"),
    ]);
    const mark = `+${CLIENT_MARK}`;
    this.#foreign = alive.some((sid) => !(infos[sid] ?? "").includes(mark));
    this.#tell();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#subscriber.disconnect();
  }

  #start(): void {
    this.#subscribe().catch((error: unknown) => {
      const text = error instanceof Error ? error.message : String(error);
      if (!text.startsWith("NOPERM") || this.#forbidden) return;
      this.#forbidden = true;
      log.warn(
        `This Redis user may not subscribe to ${this.#options.channel}: answers are kept for one second only`,
      );
      this.#tell();
    });
  }

  async #subscribe(): Promise<void> {
    if (this.#subscriber.status !== "ready" || this.#client.status !== "ready") return;
    const before = this.counts.lost;
    if (!this.#subscribed) {
      this.#id = String(await this.#subscriber.client("ID"));
      await this.#subscriber.subscribe(this.#options.channel, INVALIDATIONS);
    }
    await this.#client.call("CLIENT", "TRACKING", "OFF");
    await this.#client.call(
      ...([
        "CLIENT",
        "TRACKING",
        "ON",
        "REDIRECT",
        this.#id,
        "BCAST",
        "PREFIX",
        "sessionInfos",
      ] as const),
    );
    await this.lookAround();
    if (before !== this.counts.lost) return;
    this.#heard = Date.now();
    this.#subscribed = true;
    this.#tell();
  }

  #ping(): void {
    this.#tell();
    if (this.#subscriber.status !== "ready") return;
    const sent = Date.now();
    this.#subscriber.ping().then(
      () => {
        this.#heard = Math.max(this.#heard, sent);
        this.#tell();
      },
      () => undefined,
    );
  }

  #tell(): void {
    const trust = this.trust;
    if (trust === this.#told) return;
    this.#told = trust;
    this.#options.listener.trustChanged(trust);
  }

  #received(channel: string, message: Buffer | null): void {
    if (channel === INVALIDATIONS) {
      this.lookAround().catch(() => undefined);
      return;
    }
    if (message === null) return;
    this.counts.received++;
    const at = message.indexOf(0x20) + 1;
    const { notice, unlocked } = decodeNotice(message.subarray(at + 8));
    for (const ino of unlocked) this.#options.listener.unlocked(ino);
    if (message.readBigUInt64BE(at) === this.#options.sid) {
      this.counts.own++;
      return;
    }
    this.#options.listener.changed(notice);
  }
}

export function decodeNotice(notes: Buffer): { notice: Notice; unlocked: Ino[] } {
  const attrs: Ino[] = [];
  const data: Ino[] = [];
  const xattrs: Ino[] = [];
  const unlocked: Ino[] = [];
  const entries: { parent: Ino; name: Buffer }[] = [];
  const lists: Readonly<Record<string, Ino[]>> = { a: attrs, d: data, x: xattrs, l: unlocked };
  for (let at = 0; at < notes.length;) {
    const kind = String.fromCharCode(notes.readUInt8(at));
    const ino = notes.readBigUInt64BE(at + 1);
    at += 9;
    if (kind === "e") {
      const length = notes.readUInt8(at);
      entries.push({ parent: ino, name: Buffer.from(notes.subarray(at + 1, at + 1 + length)) });
      at += 1 + length;
    } else {
      lists[kind]?.push(ino);
    }
  }
  return { notice: { attrs, entries, data, xattrs }, unlocked };
}
