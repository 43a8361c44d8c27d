import { constants, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { keepCompiled } from "../base/compile-cache.ts";
import { log } from "../base/log.ts";
import { RunQueue } from "../base/run-queue.ts";
import { BEGIN_MS } from "../base/worker-thread.ts";
import { has, type Negotiated } from "../fuse/init.ts";
import { askAgain, KernelNotifier } from "../fuse/notify.ts";
import { REFUSING } from "../fuse/refusal.ts";
import type { Operations } from "../fuse/operations.ts";
import { RequestJournal } from "../fuse/request-journal.ts";
import { Polling } from "../fuse/polling.ts";
import { FuseSession, type SessionParts } from "../fuse/session.ts";
import { UnderWay } from "../fuse/under-way.ts";
import { openVolume, type OpenedVolume, type Predecessor } from "../volume/open.ts";
import { operationsOf } from "./adapter.ts";
import { adoptOrphans } from "./adopt-orphans.ts";
import { kernelCaches } from "./kernel-caches.ts";
import { listenJobs } from "./jobs.ts";
import { linkTo, type Link } from "./link.ts";
import type {
  OpenedMessage,
  ServerConfig,
  Succession,
  ToServer,
  ToSupervisor,
} from "./messages.ts";
import { isReadOnly } from "./options.ts";
import { preferProcess } from "./prefer-process.ts";
import { noteOwner } from "./shared-folder.ts";
import { startSupervisor } from "./start-supervisor.ts";

/**
 * The serving process of a mount: inherits the descriptor of /dev/fuse twice (3 is read, 4 is written), opens the volume and
 * answers the kernel until the file system is unmounted. Started by a supervisor, which it talks to over the channel that
 * Node makes; when that one dies it starts another. It ends with 0 only when everything is stored or handed over.
 */

const DEVICE = { requests: 3, replies: 4 };
/** Tells a supervisor that starting again would help nothing. */
const EXIT_FAILED = 2;
const NOTICE_MS = 200;
/** An id is always written with so many characters, over the one before. */
const NOTICE_WIDTH = 48;
const STATE_MS = 1000;
/** How long a process that cannot serve refuses what is asked, before another one tries. */
const REFUSE_MS = 5000;
/** A successor has something to do first; it has something new only where it is of another version. */
const KEEP_COMPILED_MS = 10_000;
/** How long requests under way may take when the mount is handed over; the kernel sends the others again. */
const LEAVE_MS = 1000;

class Server {
  #supervisor: Link<ToSupervisor, ToServer> = linkTo(process);
  #config: ServerConfig | undefined;
  #volume: OpenedVolume | undefined;
  #session: FuseSession | undefined;
  #negotiated: Negotiated | undefined;
  #ending = false;

  start(): void {
    this.#listen();
    this.#tell({ kind: "prepared" });
  }

  #listen(): void {
    this.#supervisor.onMessage((message) => {
      this.#take(message).catch((error: unknown) => {
        log.fatal({ error }, "the serving process cannot go on");
        process.exit(1);
      });
    });
    this.#supervisor.onEnd(() => {
      this.#replaceSupervisor();
    });
  }

  #tell(message: ToSupervisor): void {
    void this.#supervisor.send(message);
  }

  async #take(message: ToServer): Promise<void> {
    switch (message.kind) {
      case "open":
        await this.#openFirst(message.config);
        break;
      case "serve":
        await this.#serve(message.negotiated);
        break;
      case "succeed":
        await this.#succeed(message.config, message.after);
        break;
      case "leave":
        await this.#leave();
        break;
      case "upload-at-end":
        this.#volume?.wantUploadAtEnd();
        break;
      case "flush":
        await this.#flush();
        break;
      case "ping":
        this.#tell({ kind: "pong" });
    }
  }

  async #openFirst(config: ServerConfig): Promise<void> {
    try {
      await this.#open(config);
    } catch (error) {
      await this.#fail(error);
    }
  }

  /** @throws Error in one sentence */
  async #open(config: ServerConfig, after?: Predecessor): Promise<void> {
    this.#config = config;
    const volume = await openVolume(config.metaUrl, {
      ...{ mountpoint: config.mountpoint, values: config.values, folder: config.folder },
      ...{ readOnly: isReadOnly(config.values), after },
      gone: (reason) => {
        this.#tell({ kind: "gone", reason });
      },
    });
    this.#volume = volume;
    const { format } = volume;
    if (!isReadOnly(config.values)) {
      if (after === undefined) await adoptOrphans(config, format.UUID);
      noteOwner(config.folder, {
        uuid: format.UUID,
        sid: String(volume.sid),
        mountpoint: config.mountpoint,
      });
    }
    await listenJobs(config.mountpoint, (job, followed) => volume.runJob(job, followed));
    // Nobody waits for a first one's answers yet.
    if (after === undefined) keepCompiled();
    else setTimeout(keepCompiled, KEEP_COMPILED_MS).unref();
    this.#tell({ kind: "opened", ...openedAs(volume) });
  }

  /** Whoever asks for a mount tells its failure; nobody asks for a successor. */
  async #fail(error: unknown): Promise<void> {
    const message = error instanceof Error ? error.message : String(error);
    await this.#supervisor.send({ kind: "failed", message });
    process.exit(EXIT_FAILED);
  }

  async #succeed(config: ServerConfig, after: Succession): Promise<void> {
    const lastNotice = readIfThere(join(config.folder, "last-notice"));
    try {
      await this.#open(config, { sid: BigInt(after.sid), lastNotice });
    } catch (error) {
      log.error({ error }, "the mount cannot be taken over yet");
      if (after.refuses) await this.#refuse(after.negotiated);
      await this.#fail(error);
    }
    await this.#serve(after.negotiated, true);
  }

  /** Who waits for an answer was patient enough: he is told that it failed, until somebody can serve again. */
  async #refuse(negotiated: Negotiated): Promise<void> {
    const served = this.#begin(REFUSING, negotiated, { underWay: new UnderWay(), successor: true });
    await Promise.race([served, sleep(REFUSE_MS)]);
    await this.#session?.leave(LEAVE_MS);
  }

  async #serve(negotiated: Negotiated, successor = false): Promise<void> {
    const volume = this.#volume;
    if (volume === undefined) throw new Error("Asked to serve before a volume was opened");
    this.#negotiated = negotiated;
    const underWay = new UnderWay();
    const notifier = new KernelNotifier(DEVICE.replies, {
      expireOnly: has(negotiated, "HAS_EXPIRE_ONLY"),
      underWay,
      // A successor answers first what waits for it.
      beginMs: successor ? BEGIN_MS : 0,
    });
    volume.setKernel(kernelCaches(notifier));
    this.#keepLastNotice(volume);
    this.#tellState(volume);
    const parts = { underWay, notifier };
    const served = this.#begin(operationsOf(volume.vfs), negotiated, { ...parts, successor });
    this.#tell({ kind: "serving" });
    if (!successor) void warn(volume);
    await served;
    if (this.#ending) return;
    this.#ending = true;
    await volume.close();
    await notifier.close();
    const staged = await volume.staged();
    if (staged !== undefined) await this.#supervisor.send({ kind: "staged", staged });
    await this.#supervisor.send({ kind: "ended" });
    process.exit(0);
  }

  /** Answers requests, as a successor those too that a process before did not. Settles when it is unmounted. */
  #begin(
    fs: Operations,
    negotiated: Negotiated,
    { successor, ...parts }: Pick<SessionParts, "underWay" | "notifier"> & { successor: boolean },
  ): Promise<void> {
    const resends = has(negotiated, "HAS_RESEND");
    const journal = resends ? undefined : new RequestJournal(this.#file("requests"));
    const tasks = new RunQueue();
    const polling = new Polling(() => tasks.hasRoom && this.#volume?.transferring() === false);
    const session = new FuseSession(DEVICE, fs, { ...parts, journal, polling });
    this.#session = session;
    if (successor) session.takeOver();
    const served = session.serve();
    if (successor && resends) askAgain(DEVICE.replies);
    if (!resends && !successor)
      log.info("this kernel does not send requests again: they are noted down");
    return served;
  }

  async #flush(): Promise<void> {
    try {
      await this.#volume?.vfs.flushAll();
      this.#tell({ kind: "flushed" });
    } catch (error) {
      this.#tell({ kind: "flushed", failure: String(error) });
    }
  }

  async #leave(): Promise<void> {
    this.#ending = true;
    if (this.#session === undefined) await this.#volume?.close();
    else await this.#session.leave(LEAVE_MS);
    process.exit(0);
  }

  #file(name: string): string {
    return join(this.#config?.folder ?? "", name);
  }

  /** A successor begins with the notices that came after this one. It is whole whenever this process is killed. */
  #keepLastNotice(volume: OpenedVolume): void {
    const fd = openSync(this.#file("last-notice"), constants.O_WRONLY | constants.O_CREAT, 0o600);
    let kept: string | undefined;
    const keep = (): void => {
      const last = volume.lastNotice();
      if (last === undefined || last === kept) return;
      kept = last;
      writeSync(fd, last.padEnd(NOTICE_WIDTH), 0);
    };
    keep();
    setInterval(keep, NOTICE_MS).unref();
  }

  /** Whoever asks the supervisor sees what is not uploaded yet, and what is heard of others. */
  #tellState(volume: OpenedVolume): void {
    const told = new Map<string, string>();
    const tell = (message: ToSupervisor): void => {
      const text = JSON.stringify(message);
      if (told.get(message.kind) === text) return;
      told.set(message.kind, text);
      this.#tell(message);
    };
    const look = async (): Promise<void> => {
      tell({ kind: "notices", notices: volume.notices() });
      const staged = await volume.staged();
      if (staged !== undefined) tell({ kind: "staged", staged });
    };
    setInterval(() => {
      look().catch(() => undefined);
    }, STATE_MS).unref();
  }

  /** The supervisor is gone: another one is given the device. */
  #replaceSupervisor(): void {
    const [config, negotiated, volume] = [this.#config, this.#negotiated, this.#volume];
    if (this.#ending) return;
    if (config === undefined || negotiated === undefined || volume === undefined) {
      // Nothing is mounted: there is nothing to serve.
      process.exit(EXIT_FAILED);
    }
    const child = startSupervisor(DEVICE.replies, {
      ...{ config, negotiated, volume: openedAs(volume), serverPid: process.pid },
    });
    this.#supervisor = linkTo(child);
    this.#listen();
  }
}

/** Once for each mount, and only for one that came up. */
async function warn(volume: OpenedVolume): Promise<void> {
  for (const sentence of await volume.weakPoints()) log.warn(sentence);
}

function openedAs({ format, sid }: OpenedVolume): OpenedMessage {
  return { name: format.Name, uuid: format.UUID, acl: format.EnableACL, sid: sid.toString() };
}

/** Absent where no notice was seen yet. */
function readIfThere(path: string): string | undefined {
  try {
    const text = readFileSync(path, "utf8").trimEnd();
    return text === "" ? undefined : text;
  } catch {
    return undefined;
  }
}

preferProcess();
new Server().start();
// A terminal's Ctrl-C and a shutdown's SIGTERM reach the whole group: the supervisor unmounts, and that ends this process.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
