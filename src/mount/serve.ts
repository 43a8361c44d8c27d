import { log } from "../base/log.ts";
import { has, type Negotiated } from "../fuse/init.ts";
import { KernelNotifier } from "../fuse/notify.ts";
import { FuseSession } from "../fuse/session.ts";
import { openVolume, type OpenedVolume } from "../volume/open.ts";
import { operationsOf } from "./adapter.ts";
import { kernelCaches } from "./kernel-caches.ts";
import type { ServerConfig, Succession, ToServer, ToSupervisor } from "./messages.ts";
import { isReadOnly } from "./options.ts";

/**
 * The serving process of a mount: inherits the descriptor of /dev/fuse twice (3 is read, 4 is written), opens the volume and
 * answers the kernel until the file system is unmounted. Started by a supervisor, which it talks to over the channel that
 * Node makes. It ends with 0 only when everything is stored.
 */

const DEVICE = { requests: 3, replies: 4 };
/** Tells a supervisor that starting again would help nothing. */
const EXIT_FAILED = 2;

class Server {
  #volume: OpenedVolume | undefined;

  async take(message: ToServer): Promise<void> {
    switch (message.kind) {
      case "open":
        await this.#open(message.config, message.after);
        break;
      case "serve":
        await this.#serve(message.negotiated, false);
        break;
      case "leave":
        await this.#volume?.vfs.close();
        process.exit(0);
        break;
      case "ping":
        await tell({ kind: "pong" });
    }
  }

  async #open(config: ServerConfig, after: Succession | undefined): Promise<void> {
    try {
      this.#volume = await openVolume(config.metaUrl, {
        ...{ mountpoint: config.mountpoint, values: config.values },
        readOnly: isReadOnly(config.values),
        folder: config.folder,
        sid: after === undefined ? undefined : BigInt(after.sid),
        gone: (reason) => {
          void tell({ kind: "gone", reason });
        },
      });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      await tell({ kind: "failed", message });
      process.exit(EXIT_FAILED);
      return;
    }
    const { format, sid } = this.#volume;
    await tell({ kind: "opened", name: format.Name, acl: format.EnableACL, sid: sid.toString() });
    if (after !== undefined) await this.#serve(after.negotiated, true);
  }

  async #serve(negotiated: Negotiated, successor: boolean): Promise<void> {
    const volume = this.#volume;
    if (volume === undefined) throw new Error("Asked to serve before a volume was opened");
    const notifier = new KernelNotifier(DEVICE.replies, {
      expireOnly: has(negotiated, "HAS_EXPIRE_ONLY"),
    });
    volume.setKernel(kernelCaches(notifier));
    const session = new FuseSession(DEVICE, operationsOf(volume.vfs));
    const served = session.serve();
    if (successor) notifier.resend();
    await tell({ kind: "serving" });
    await served;
    await volume.vfs.close();
    await notifier.close();
    await tell({ kind: "ended" });
    process.exit(0);
  }
}

/** Settles when the message is on its way, also where nobody listens any more. */
async function tell(message: ToSupervisor): Promise<void> {
  if (!process.connected) return;
  await new Promise<void>((resolve) => {
    process.send?.(message, () => {
      resolve();
    });
  });
}

const server = new Server();
process.on("message", (message: ToServer) => {
  server.take(message).catch((error: unknown) => {
    log.fatal({ error }, "the serving process cannot go on");
    process.exit(1);
  });
});
// A terminal's Ctrl-C and a shutdown's SIGTERM reach the whole group: the supervisor unmounts, and that ends this process.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
