import { setTimeout as sleep } from "node:timers/promises";
import type { Server } from "node:net";
import { log } from "../base/log.ts";
import { VERSION } from "../base/version.ts";
import { handshake, type Negotiated } from "../fuse/init.ts";
import { isMounted, mount, unmount } from "../fuse/mount.ts";
import { forgetControl, listenControl, type ControlRequest, type MountStatus } from "./control.ts";
import type { MountConfig, OpenedMessage, ToSupervisor } from "./messages.ts";
import { closeDevice, openDevice, prepareMountpoint, requireMounting } from "./mountpoint.ts";
import { allowsNonempty, kernelOptions, wantsWritebackCache } from "./options.ts";
import { ServerProcess } from "./server-process.ts";
import { makeSharedFolder, removeSharedFolder } from "./shared-folder.ts";

/**
 * Opens the device, mounts, answers INIT and keeps the descriptor; starts the serving process and, when that dies, another
 * one. It speaks neither to Redis nor to a store: whatever kills the serving process leaves it alone.
 */

/** A serving process that lived so long was well: the next one is started at once. */
const WELL_MS = 10_000;
const PAUSE_MAX_MS = 5000;
/** How long an unmounted volume may take to store what is left when the supervisor is told to end. */
const LEAVE_MS = 30_000;

export class Supervisor {
  readonly #config: MountConfig;
  readonly #ended = Promise.withResolvers<void>();
  #device = -1;
  #folder = "";
  #server: ServerProcess | undefined;
  #negotiated: Negotiated | undefined;
  #volume: OpenedMessage | undefined;
  #control: Server | undefined;
  #serving = false;
  #startedAt = 0;
  /** In a row. */
  #deaths = 0;
  #restarts = 0;
  #lastDeath: string | undefined;
  readonly #since = new Date().toISOString();

  constructor(config: MountConfig) {
    this.#config = config;
  }

  /** Mounts; settles when the file system can be used. @throws Error in one sentence, with nothing left behind */
  async start(): Promise<OpenedMessage> {
    const { mountpoint, values } = this.#config;
    requireMounting();
    prepareMountpoint(mountpoint, { nonempty: allowsNonempty(values) });
    this.#device = openDevice();
    this.#folder = await makeSharedFolder(mountpoint, values["buffer-size"]);
    const server = this.#startServer();
    try {
      server.send({ kind: "open", config: { ...this.#config, folder: this.#folder } });
      const volume = await server.opened();
      this.#volume = volume;
      await this.#mount(volume);
      server.send({ kind: "serve", negotiated: this.#agreed() });
      await server.serving();
      this.#control = await listenControl(mountpoint, (request) => this.#answer(request));
      return volume;
    } catch (error) {
      await this.#giveUp(server);
      throw error;
    }
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
      await unmount(this.#config.mountpoint, { lazy: request.lazy });
      if (request.wait) await this.#ended.promise;
    }
    return this.#status();
  }

  #status(): MountStatus {
    const { mountpoint } = this.#config;
    const state = this.#serving ? "serving" : "restarting";
    return {
      ...{ volume: this.#volume?.name ?? "", sid: this.#volume?.sid ?? "0" },
      ...{ mountpoint, version: VERSION, since: this.#since },
      ...{ supervisorPid: process.pid, serverPid: this.#server?.pid ?? 0 },
      ...{ restarts: this.#restarts, lastDeath: this.#lastDeath },
      state: isMounted(mountpoint) ? state : "unmounted",
    };
  }

  async #mount(volume: OpenedMessage): Promise<void> {
    const { mountpoint, values } = this.#config;
    await mount({
      ...{ fd: this.#device, source: `JuiceFS:${volume.name}`, target: mountpoint },
      options: kernelOptions(values),
    });
    this.#negotiated = handshake(this.#device, {
      writebackCache: wantsWritebackCache(values),
      posixAcl: volume.acl,
    });
  }

  #agreed(): Negotiated {
    if (this.#negotiated === undefined) throw new Error("The kernel was not asked yet");
    return this.#negotiated;
  }

  async #giveUp(server: ServerProcess): Promise<void> {
    const { mountpoint } = this.#config;
    this.#server = undefined;
    if (this.#negotiated !== undefined) {
      await unmount(mountpoint, { lazy: true }).catch(() => undefined);
    }
    server.send({ kind: "leave" });
    await server.gone();
    closeDevice(this.#device);
    await this.#cleanUp();
  }

  #startServer(): ServerProcess {
    this.#startedAt = Date.now();
    const server = new ServerProcess(this.#device, {
      told: (message) => {
        this.#told(message);
      },
      exited: (how) => {
        if (this.#server === server) this.#serverExited(how);
      },
    });
    this.#server = server;
    return server;
  }

  #told(message: ToSupervisor): void {
    if (message.kind === "serving") this.#serving = true;
    if (message.kind !== "gone") return;
    log.error({ reason: message.reason }, "unmounting");
    unmount(this.#config.mountpoint, { lazy: true }).catch((error: unknown) => {
      log.error({ error }, "cannot unmount");
    });
  }

  #serverExited({ done, text }: { done: boolean; text: string }): void {
    this.#serving = false;
    if (done) {
      this.#end().catch((error: unknown) => {
        log.error({ error }, "the mount ended, what it leaves cannot be removed");
        this.#ended.resolve();
      });
      return;
    }
    this.#restarts++;
    this.#lastDeath = `${new Date().toISOString()} ${text}`;
    this.#deaths = Date.now() - this.#startedAt > WELL_MS ? 0 : this.#deaths + 1;
    const pauseMs = this.#deaths <= 1 ? 0 : Math.min(50 * 2 ** this.#deaths, PAUSE_MAX_MS);
    log.error({ how: text, pauseMs }, "the serving process died, starting another one");
    setTimeout(() => {
      this.#succeed();
    }, pauseMs);
  }

  async #end(): Promise<void> {
    closeDevice(this.#device);
    await this.#cleanUp();
    this.#ended.resolve();
  }

  async #cleanUp(): Promise<void> {
    const { mountpoint } = this.#config;
    this.#control?.close();
    await removeSharedFolder(mountpoint);
    forgetControl(mountpoint);
  }

  #succeed(): void {
    const server = this.#startServer();
    const sid = this.#volume?.sid ?? "0";
    const after = { negotiated: this.#agreed(), sid };
    server.send({ kind: "open", config: { ...this.#config, folder: this.#folder }, after });
  }
}
