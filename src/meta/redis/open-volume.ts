import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Redis } from "ioredis";
import { FsError } from "../../base/fs-error.ts";
import { log } from "../../base/log.ts";
import { parseFormat, type Format } from "../format.ts";
import type { Meta, MetaListener } from "../meta.ts";
import { OpenFiles } from "../open-files.ts";
import { revealSecrets } from "../secrets.ts";
import { refusalForWriting } from "../version-gate.ts";
import { Answers, PATIENCE_MS } from "./answers.ts";
import { hourlyJobs } from "./cleanup.ts";
import type { MetaContext } from "./context.ts";
import { Counters } from "./counters.ts";
import { Deletions } from "./deletions.ts";
import { gatesInUse } from "./format-store.ts";
import { LockWaits } from "./lock-waits.ts";
import { forgetInodes, Nameless } from "./nameless.ts";
import { Notices, type NoticeListener } from "./notices.ts";
import type { MetaOptions } from "./open.ts";
import { RedisMeta } from "./redis-meta.ts";
import {
  describeSession,
  endDeadSessions,
  endSession,
  HEARTBEAT_MS,
  heartbeat,
  newSession,
  type Beat,
  type OwnSession,
  type SessionEnd,
} from "./sessions.ts";

/** How long the hourly jobs wait after the mount, and between two looks whether one is due. */
const JOBS_FIRST_MS = 60_000;
const JOBS_EVERY_MS = 10 * 60_000;
/** How long closing waits for deletions that are under way. */
const CLOSE_PATIENCE_MS = 5000;

/** The running parts of an open volume: session, notices, jobs. */
export class OpenVolume {
  readonly #client: Redis;
  readonly #subscriber: Redis;
  readonly #listener: MetaListener;
  readonly #options: MetaOptions;
  readonly #closing = new AbortController();
  readonly #context: MetaContext;
  readonly #notices: Notices;
  readonly #session: OwnSession;
  readonly #timers: NodeJS.Timeout[] = [];
  #format: Format;
  #connectedAt = Date.now();
  #beating: Promise<void> | undefined;
  #beatAgain = false;
  #jobs: Promise<void> | undefined;
  #unreachable = false;
  #refusal: string | undefined;
  #companions = 0;

  /** @throws Error when the server refuses */
  static async start(
    connections: { client: Redis; subscriber: Redis },
    format: Format,
    options: MetaOptions,
    listener: MetaListener,
  ): Promise<OpenVolume> {
    const { client } = connections;
    const info = describeSession(options.mountpoint);
    const periodMs = options.heartbeatMs ?? HEARTBEAT_MS;
    let sid = options.sid ?? 0n;
    if (options.readOnly) sid = 0n;
    else if (sid === 0n) sid = await newSession(client, { info, periodMs });
    const session = { sid, info, periodMs };
    const volume = new OpenVolume({ ...connections, format, options, listener, session });
    await volume.#context.answers.ready();
    await volume.#beat();
    return volume;
  }

  private constructor(parts: {
    readonly client: Redis;
    readonly subscriber: Redis;
    readonly format: Format;
    readonly options: MetaOptions;
    readonly listener: MetaListener;
    readonly session: OwnSession;
  }) {
    const { client, session, listener } = parts;
    const { sid } = session;
    this.#client = client;
    this.#subscriber = parts.subscriber;
    this.#listener = listener;
    this.#options = parts.options;
    this.#format = parts.format;
    this.#session = session;
    const channel = `juicefs:${this.#format.UUID}`;
    const { skipDirMtimeMs = 0 } = this.#options;
    const skipDirMtime = skipDirMtimeMs > 0 ? `t${Math.floor(skipDirMtimeMs)}` : "";
    const counters = new Counters(client, async (action, work) => {
      if (sid === 0n) throw new FsError("EROFS", action);
      return answers.ask(action, work);
    });
    const answers: Answers = new Answers(client, {
      sid,
      channel,
      patienceMs: this.#options.patienceMs ?? PATIENCE_MS,
      options: () =>
        (this.#format.DirStats ? "d" : "") + (this.#companions > 0 ? "g" : "") + skipDirMtime,
      fenced: () => {
        this.#beatSoon();
      },
      fetched: () => counters.fetched,
      makeRoom: () => this.#context.nameless.deleteNow(),
    });
    const deletions = new Deletions(client, (id, size) => listener.deleteSlice(id, size));
    const lockWaits = new LockWaits();
    this.#context = {
      client,
      answers,
      lockWaits,
      deletions,
      nameless: new Nameless(() => this.#context),
      sid,
      listener,
      trust: () => this.#notices.trust,
      heard: (noticeId) => this.#notices.reached(noticeId),
      changes: () => answers.changes + this.#notices.heardOf,
      counters,
      openFiles: new OpenFiles((ino) => {
        this.#context.nameless.opened(ino);
      }),
      usage: { usedBytes: 0, usedInodes: 0 },
      format: () => this.#format,
    };
    this.#notices = new Notices(client, this.#subscriber, {
      channel,
      sid,
      last: this.#options.lastNotice,
      listener: this.#noticeListener(lockWaits),
    });
    this.#startTimers();
  }

  meta(): Meta {
    return new RedisMeta(this.#context, this.#notices, () => this.#close());
  }

  #noticeListener(lockWaits: LockWaits): NoticeListener {
    return {
      changed: (notice) => {
        this.#listener.changed(notice);
      },
      trustChanged: (trust) => {
        lockWaits.wakeAll();
        if (trust !== "none") this.#context.nameless.lookAtAll();
        this.#listener.trustChanged(trust);
      },
      interrupted: () => {
        this.#listener.interrupted?.();
      },
      unlocked: (ino) => {
        lockWaits.wake(ino);
      },
      nameless: (ino) => {
        this.#context.nameless.removedElsewhere(ino);
      },
      sessionsChanged: () => {
        this.#beatSoon();
      },
    };
  }

  /** Whether it cleans up after others. */
  get #tidies(): boolean {
    return !this.#options.readOnly && this.#options.noBgjob !== true;
  }

  #startTimers(): void {
    this.#client.on("ready", () => {
      this.#connectedAt = Date.now();
    });
    const period = this.#session.periodMs * (0.95 + Math.random() * 0.1);
    this.#timers.push(
      setInterval(() => {
        this.#beatSoon();
      }, period),
    );
    if (!this.#tidies) return;
    const jobs = (): void => {
      this.#jobs = hourlyJobs(this.#context, this.#closing.signal);
    };
    this.#timers.push(
      setTimeout(jobs, this.#options.jobsAfterMs ?? JOBS_FIRST_MS),
      setInterval(jobs, JOBS_EVERY_MS),
    );
  }

  /** One heartbeat now; another one after it where it was asked for meanwhile. */
  #beatSoon(): void {
    if (this.#closing.signal.aborted) return;
    this.#beatAgain = this.#beating !== undefined;
    this.#beating ??= this.#beat()
      .then(() => (this.#unreachable = false))
      .catch((error: unknown) => {
        if (!this.#unreachable) log.warn({ error }, "heartbeat failed");
        this.#unreachable = true;
      })
      .finally(() => {
        this.#beating = undefined;
        if (this.#beatAgain) this.#beatSoon();
      })
      .then(() => undefined);
  }

  async #beat(): Promise<void> {
    const { sid } = this.#context;
    // After an interruption every session may look dead: each gets the time of a heartbeat to say that it is not.
    const settled = Date.now() - this.#connectedAt > 1.2 * this.#session.periodMs;
    const beat = await heartbeat(this.#client, this.#session, settled && this.#tidies);
    if (!this.#isStillThere(beat)) return;
    this.#notices.neighbours = beat;
    this.#companions = beat.companions;
    this.#context.usage.usedBytes = beat.usedBytes;
    this.#context.usage.usedInodes = beat.usedInodes;
    if (sid === 0n) return;
    if (!beat.known) {
      log.warn("this mount was taken for dead: its locks were dropped, it is registered again");
      this.#listener.sessionLost?.();
    }
    if (!beat.fenced) await this.#context.answers.renew();
    if (!beat.known) this.#context.nameless.lookAtAll();
    await this.#warnOfFeatures();
    if (beat.dead.length > 0) await endDeadSessions(this.#sessionEnd(), sid, beat.dead);
  }

  /** Somebody may have turned on since what is refused when a volume is opened: the mount goes on, for it is in use. */
  async #warnOfFeatures(): Promise<void> {
    const refusal = refusalForWriting(this.#format, await gatesInUse(this.#client));
    if (refusal !== undefined && refusal !== this.#refusal) log.warn(refusal);
    this.#refusal = refusal;
  }

  #isStillThere({ setting }: Beat): boolean {
    const name = this.#format.Name;
    if (setting === undefined) {
      this.#listener.volumeGone(`Volume "${name}" was destroyed`);
      return false;
    }
    const format = revealSecrets(parseFormat(setting));
    if (format.UUID !== this.#format.UUID) {
      this.#listener.volumeGone(`Volume "${name}" was replaced by another one`);
      return false;
    }
    if (format.MetaVersion > 1) {
      this.#listener.volumeGone(`Volume "${name}" was changed to a newer metadata version`);
      return false;
    }
    if (isDeepStrictEqual(format, this.#format)) return true;
    this.#format = format;
    this.#listener.settingsChanged?.(format);
    return true;
  }

  #sessionEnd(): SessionEnd {
    const context = this.#context;
    return {
      client: context.client,
      answers: context.answers,
      release: (inodes, sid) => forgetInodes(context, inodes, sid),
    };
  }

  /** A server that is gone is not waited for long: others clean up after a session that says nothing. */
  async #endSession(sid: bigint): Promise<void> {
    const ending = endSession(this.#sessionEnd(), sid, false);
    ending.catch(() => undefined);
    const late = sleep(CLOSE_PATIENCE_MS, "late", { ref: false });
    if ((await Promise.race([ending, late])) === "late") {
      log.warn("the session is left to others: the server does not answer");
    }
  }

  async #close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#notices.close();
    this.#context.nameless.close();
    const { sid, answers, deletions, client } = this.#context;
    try {
      await Promise.allSettled([this.#beating, this.#jobs]);
      if (sid !== 0n) await this.#endSession(sid);
      await deletions.idle(CLOSE_PATIENCE_MS);
    } finally {
      answers.close();
      client.disconnect();
    }
  }
}
