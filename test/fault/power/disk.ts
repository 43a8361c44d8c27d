import { FsError } from "../../../src/base/fs-error.ts";
import { log } from "../../../src/base/log.ts";
import { handshake } from "../../../src/fuse/init.ts";
import { mount, unmount } from "../../../src/fuse/mount.ts";
import type { Operations } from "../../../src/fuse/operations.ts";
import { FuseSession } from "../../../src/fuse/session.ts";
import { UnderWay } from "../../../src/fuse/under-way.ts";
import { openDevice } from "../../../src/mount/mountpoint.ts";
import { Random } from "../../support/random.ts";
import { diskOperations } from "./disk-operations.ts";
import { DurableTree } from "./durable-tree.ts";

/**
 * The program of a disk that loses power: mounts itself on the folder it is given and is told over the channel to its parent when
 * the power goes and when it comes back. What it knows outlives the mounts, as a disk outlives the kernel that used it.
 */

export type DiskRequest =
  /** From now on nothing is done or answered. */
  | { readonly ask: "cut" }
  /** Falls back to what was durable, and is mounted anew. Seed 0: nothing else is left. */
  | { readonly ask: "restore"; readonly seed: number }
  | { readonly ask: "end" };

const [target = ""] = process.argv.slice(2);
// Locks, truncation by open and listings with attributes are the kernel's own affair then.
process.env["JUICEFS_FUSE_REFUSE"] =
  "POSIX_LOCKS,FLOCK_LOCKS,ATOMIC_O_TRUNC,DO_READDIRPLUS,READDIRPLUS_AUTO,HANDLE_KILLPRIV_V2";

const tree = new DurableTree();
let plugged: { readonly session: FuseSession; cut: boolean } | undefined;

async function plugIn(): Promise<void> {
  const fd = openDevice();
  const options = ["default_permissions", "allow_other"];
  await mount({ fd, source: "power", target, options });
  handshake(fd, { writebackCache: false, posixAcl: false });
  const gate = { cut: false };
  const operations = gated(diskOperations(tree), gate);
  const session = new FuseSession({ requests: fd, replies: fd }, operations, {
    underWay: new UnderWay(),
  });
  plugged = Object.assign(gate, { session });
  void session.serve();
}

/** Without power nobody gets an answer. */
function gated(operations: Partial<Operations>, gate: { readonly cut: boolean }): Operations {
  return new Proxy(operations as Operations, {
    get: (of, name: keyof Operations) => {
      if (gate.cut) return () => new Promise(() => undefined);
      return of[name] ?? unknown;
    },
  });
}

function unknown(): never {
  throw new FsError("ENOSYS", "disk");
}

/** Closing the device ends whoever waits for an answer. */
async function unplug(): Promise<void> {
  await plugged?.session.leave(0);
  plugged = undefined;
  await unmount(target, { lazy: true });
}

async function answer(request: DiskRequest): Promise<void> {
  if (request.ask === "cut") {
    if (plugged !== undefined) plugged.cut = true;
    return;
  }
  await unplug();
  if (request.ask === "end") process.exit(0);
  tree.losePower(request.seed === 0 ? undefined : new Random(request.seed));
  await plugIn();
}

log.level = "error";
process.on("message", (request: DiskRequest) => {
  answer(request).then(
    () => process.send?.("done"),
    (error: unknown) => process.send?.(String(error)),
  );
});
// The test is gone.
process.on("disconnect", () => {
  void unplug()
    .catch(() => undefined)
    .finally(() => process.exit(1));
});
await plugIn();
process.send?.("done");
