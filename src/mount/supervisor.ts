import type { Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { keepCompiled, useCompileCache } from "../base/compile-cache.ts";
import { log } from "../base/log.ts";
import { VERSION } from "../base/version.ts";
import { handshake, type Negotiated } from "../fuse/init.ts";
import { isMounted, mount, unmount } from "../fuse/mount.ts";
import { isHeld } from "../fuse/notify.ts";
import { widenReadAhead } from "../fuse/read-ahead.ts";
import {
  askMount,
  forgetControl,
  listenControl,
  mountFolder,
  type ControlRequest,
  type MountStatus,
} from "./control.ts";
import type { MountConfig, OpenedMessage, ServedMount, ToSupervisor } from "./messages.ts";
import { patienceMs } from "../options/mount.ts";
import type { NoticeStatus, StagedBlocks } from "../volume/open.ts";
import {
  closeDevice,
  openDevice,
  prepareMountpoint,
  removeMountpoint,
  requireMounting,
} from "./mountpoint.ts";
import {
  allowsNonempty,
  checksItself,
  kernelOptions,
  wantsWritebackCache,
  withRefusedOptions,
} from "./options.ts";
import { preferProcess } from "./prefer-process.ts";
import { SERVE_PROGRAM, ServerHandle, type Death } from "./server-handle.ts";
import { holdsUnstored, makeSharedFolder, removeSharedFolder } from "./shared-folder.ts";
import { Standby } from "./standby.ts";

/**
 * Opens the device, mounts, answers INIT and keeps the descriptor; starts the serving process and, when that dies, another
 * one. It speaks neither to Redis nor to a store: whatever kills the serving process leaves it alone. When it dies itself, the
 * serving process starts another supervisor, which goes on from what it is told.
 */

/** One that served so long was well. */
const WELL_MS = 300;
/** So many deaths in a row are no reason to wait: whatever killed it may be over. */
const PATIENT_DEATHS = 2;
const PAUSE_MAX_MS = 5000;
/** How long an unmounted volume may take to store what is left when the supervisor is told to end. */
const LEAVE_MS = 30_000;
/** How long a process that hands over may take to answer what it is doing. */
const HANDOVER_MS = 5000;

/** How long an earlier mount of the same place may take to store what is left. */
const FREE_MS = 20_000;

/** Where a supervisor that was started by a serving process finds the device. */
export const INHERITED_DEVICE = 3;

export class Supervisor {
  readonly #config: MountConfig;
  readonly #ended = Promise.withResolvers<void>();
  #device = -1;
  #folder = "";
  #program = SERVE_PROGRAM;
  #server: ServerHandle | undefined;
  #negotiated: Negotiated | undefined;
  #volume: OpenedMessage | undefined;
  #control: Server | undefined;
  readonly #standby = new Standby();
  #serving = false;
  #servingSince = Infinity;
  /** Undefined while a process serves. */
  #unservedSince: number | undefined;
  /** In a row. */
  #deaths = 0;
  #restarts = 0;
  #lastDeath: string | undefined;
  #staged: StagedBlocks | undefined;
  #notices: NoticeStatus | undefined;
  readonly #since = new Date().toISOString();

  constructor(config: MountConfig) {
    this.#config = config;
  }

  /** Mounts; settles when the file system can be used. @throws Error in one sentence, with nothing left behind */
  async start(): Promise<OpenedMessage> {
    const { mountpoint, values } = this.#config;
    requireMounting();
    preferProcess();
    const made = prepareMountpoint(mountpoint, {
      nonempty: allowsNonempty(values),
      needed: [process.execPath, this.#program, mountFolder(mountpoint), useCompileCache()],
    });
    try {
      return await this.#begin();
    } catch (error) {
      if (made !== undefined) removeMountpoint(mountpoint, made);
      throw error;
    }
  }

  async #begin(): Promise<OpenedMessage> {
    const { mountpoint, values } = this.#config;
    await untilFree(mountpoint);
    this.#device = openDevice();
    this.#folder = await makeSharedFolder(mountpoint, values["buffer-size"]);
    const server = ServerHandle.start(this.#device);
    try {
      await server.send({ kind: "open", config: { ...this.#config, folder: this.#folder } });
      const volume = await server.opened();
      this.#volume = volume;
      this.#negotiated = await this.#mount(volume);
      await server.send({ kind: "serve", negotiated: this.#negotiated });
      await server.serving();
      this.#look(server);
      this.#control = await listenControl(mountpoint, (request) => this.#answer(request));
      keepCompiled();
      return volume;
    } catch (error) {
      await this.#giveUp(server);
      throw error;
    }
  }

  /** Looks after a mount that is served by the process that started this one. */
  async adopt({ config, volume, negotiated, serverPid }: ServedMount): Promise<void> {
    preferProcess();
    this.#device = INHERITED_DEVICE;
    this.#folder = config.folder;
    this.#volume = volume;
    this.#negotiated = negotiated;
    this.#look(ServerHandle.parent(serverPid));
    this.#serving = true;
    this.#standby.keep(this.#device, this.#program);
    this.#control = await listenControl(config.mountpoint, (request) => this.#answer(request));
    log.warn({ mountpoint: config.mountpoint }, "the supervisor died, another one goes on");
  }

  /** Settles when the volume was unmounted and everything is stored. */
  ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Unmounts, lazily where somebody uses it, and waits until everything is stored; not for ever. */
  async stop(): Promise<void> {
    const { mountpoint } = this.#config;
    if (isMounted(mountpoint)) {
      await unmount(mountpoint).catch(() => unmount(mountpoint, { lazy: true }));
    }
    await Promise.race([this.#ended.promise, sleep(LEAVE_MS, undefined, { ref: false })]);
  }

  async #answer(request: ControlRequest): Promise<MountStatus> {
    if (request.ask === "unmount") {
      if (request.upload === true) await this.#server?.send({ kind: "upload-at-end" });
      await unmount(this.#config.mountpoint, { lazy: request.lazy });
      if (request.wait) await this.#ended.promise;
    }
    if (request.ask === "flush") await this.#server?.flush();
    if (request.ask === "replace") await this.#replace(request.program);
    return this.#status();
  }

  #status(): MountStatus {
    const { mountpoint } = this.#config;
    const state = this.#serving ? "serving" : "restarting";
    return {
      ...{
        volume: this.#volume?.name ?? "",
        uuid: this.#volume?.uuid,
        sid: this.#volume?.sid ?? "0",
      },
      ...{ mountpoint, version: VERSION, since: this.#since },
      ...{ supervisorPid: process.pid, serverPid: this.#server?.pid ?? 0 },
      ...{ restarts: this.#restarts, lastDeath: this.#lastDeath },
      ...{ staged: this.#staged, notices: this.#notices },
      state: isMounted(mountpoint) ? state : "unmounted",
    };
  }

  async #mount(volume: OpenedMessage): Promise<Negotiated> {
    const { mountpoint, values } = this.#config;
    await mount({
      ...{ fd: this.#device, source: `JuiceFS:${volume.name}`, target: mountpoint },
      options: kernelOptions(values),
    }).catch((error: unknown) => {
      throw withRefusedOptions(mountpoint, values, error);
    });
    try {
      const negotiated = handshake(this.#device, {
        writebackCache: wantsWritebackCache(values),
        posixAcl: volume.acl && !checksItself(values),
        ownUmask: volume.acl || values.umask !== undefined,
      });
      widenReadAhead(mountpoint);
      return negotiated;
    } catch (error) {
      await unmount(mountpoint, { lazy: true });
      throw error;
    }
  }

  async #giveUp(server: ServerHandle): Promise<void> {
    if (this.#negotiated !== undefined) {
      await unmount(this.#config.mountpoint, { lazy: true }).catch(() => undefined);
    }
    await server.send({ kind: "leave" });
    await server.death();
    closeDevice(this.#device);
    await this.#cleanUp();
  }

  #look(server: ServerHandle): void {
    this.#server = server;
    this.#servingSince = Infinity;
    server.onMessage((message) => {
      this.#told(message);
    });
    server.serving().then(
      () => {
        this.#serving = true;
        this.#servingSince = Date.now();
        this.#unservedSince = undefined;
        if (this.#restarts > 0) this.#standby.keep(this.#device, this.#program);
      },
      () => undefined,
    );
    void server.death().then((death) => {
      if (this.#server === server) this.#died(death);
    });
  }

  #told(message: ToSupervisor): void {
    if (message.kind === "staged") this.#staged = message.staged;
    if (message.kind === "notices") this.#notices = message.notices;
    if (message.kind !== "gone") return;
    log.error({ reason: message.reason }, "unmounting");
    unmount(this.#config.mountpoint, { lazy: true }).catch((error: unknown) => {
      log.error({ error }, "cannot unmount");
    });
  }

  #died({ done, how }: Death): void {
    this.#serving = false;
    this.#unservedSince ??= performance.now();
    // Nobody can use it any more, and nothing is left that a successor would have to store.
    const used = isMounted(this.#config.mountpoint) || isHeld(this.#device);
    const over = !used && !holdsUnstored(this.#folder);
    if (done || over) {
      this.#end().catch((error: unknown) => {
        log.error({ error }, "the mount ended, what it leaves cannot be removed");
        this.#ended.resolve();
      });
      return;
    }
    this.#restarts++;
    this.#lastDeath = `${new Date().toISOString()} ${how}`;
    this.#deaths = Date.now() - this.#servingSince > WELL_MS ? 0 : this.#deaths + 1;
    const again = this.#deaths - PATIENT_DEATHS;
    const pauseMs = again <= 0 ? 0 : Math.min(50 * 2 ** again, PAUSE_MAX_MS);
    log.error({ how, pauseMs }, "the serving process died, starting another one");
    setTimeout(() => {
      this.#succeed(this.#standby.take(this.#device, this.#program));
    }, pauseMs);
  }

  #succeed(server: ServerHandle): void {
    if (this.#negotiated === undefined || this.#volume === undefined) return;
    this.#look(server);
    const silentMs = performance.now() - (this.#unservedSince ?? Infinity);
    const refuses = silentMs > patienceMs(this.#config.values);
    const after = { negotiated: this.#negotiated, sid: this.#volume.sid, refuses };
    const config = { ...this.#config, folder: this.#folder };
    void server.send({ kind: "succeed", config, after });
  }

  /**
   * Hands the mount over to another serving process, such as one of a newer version.
   *
   * @throws Error when that does not come up; the old one goes on then
   */
  async #replace(program: string): Promise<void> {
    const old = this.#server;
    const next = ServerHandle.start(this.#device, program);
    await next.prepared();
    // From here on nobody starts a successor but this method.
    this.#server = undefined;
    await old?.send({ kind: "leave" });
    await Promise.race([old?.death(), sleep(HANDOVER_MS, undefined, { ref: false })]);
    old?.kill();
    await old?.death();
    const before = this.#program;
    this.#program = program;
    this.#succeed(next);
    try {
      await next.serving();
    } catch (error) {
      // Its death has started a successor already; that one is of the old program.
      this.#program = before;
      throw error;
    }
  }

  async #end(): Promise<void> {
    closeDevice(this.#device);
    await this.#cleanUp();
    this.#ended.resolve();
  }

  async #cleanUp(): Promise<void> {
    const { mountpoint } = this.#config;
    this.#standby.drop();
    this.#control?.close();
    await removeSharedFolder(mountFolder(mountpoint));
    forgetControl(mountpoint);
  }
}

/** Waits for an earlier mount there that is unmounted and still stores. @throws Error when that takes too long */
async function untilFree(mountpoint: string): Promise<void> {
  const end = Date.now() + FREE_MS;
  const alive = (): Promise<unknown> => askMount(mountpoint, { ask: "status" }, { limitMs: 1000 });
  while ((await alive().catch(() => "slow")) !== undefined) {
    if (Date.now() > end) {
      throw new Error(
        `Cannot mount on "${mountpoint}": the mount before still stores what was written; try again when it is done`,
      );
    }
    await sleep(50);
  }
}
