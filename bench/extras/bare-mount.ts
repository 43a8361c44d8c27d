import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { handshake } from "../../src/fuse/init.ts";
import { mount, unmount } from "../../src/fuse/mount.ts";

const PROGRAM = fileURLToPath(new URL("bare-server.ts", import.meta.url));

/** A mount that `bare-server.ts` serves. */
export interface BareMount extends AsyncDisposable {
  readonly pid: number;
}

export async function mountBare(target: string): Promise<BareMount> {
  const fd = openSync("/dev/fuse", "r+");
  try {
    await mount({ fd, source: "bare", target, options: ["default_permissions"] });
    handshake(fd, { writebackCache: false, posixAcl: false });
    const server = spawn(process.execPath, [PROGRAM], {
      stdio: ["ignore", "inherit", "inherit", fd, fd],
    });
    const gone = once(server, "exit");
    return {
      pid: server.pid ?? 0,
      async [Symbol.asyncDispose]() {
        await unmount(target);
        await gone;
      },
    };
  } finally {
    closeSync(fd);
  }
}
