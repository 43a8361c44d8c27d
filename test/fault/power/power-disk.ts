import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeFolder } from "../../support/folder.ts";
import type { DiskRequest } from "./disk.ts";

const PROGRAM = fileURLToPath(new URL("disk.ts", import.meta.url));

/** A disk whose power can be cut: what was not synced is gone then. */
export interface PowerDisk extends AsyncDisposable {
  /** Where it is mounted, also after the power came back. */
  readonly path: string;
  /** A place that keeps everything, with whatever of the test is not the disk's. */
  readonly outside: string;
  /**
   * Cuts the power: from now on nothing comes to the disk and nobody is told anything. `crash` ends whoever used it.
   *
   * @param seed of what else is left by chance; 0: nothing is that was not synced
   */
  readonly losePower: (seed?: number, crash?: () => Promise<void> | void) => Promise<void>;
}

export async function makePowerDisk(): Promise<PowerDisk> {
  const folder = await makeFolder();
  const [path, outside] = [join(folder.path, "disk"), join(folder.path, "outside")];
  await mkdir(path);
  await mkdir(outside);
  const program = fork(PROGRAM, [path]);
  const gone = once(program, "exit");
  const done = async (): Promise<void> => {
    const ended = gone.then(() => ["it ended"]);
    const [said] = (await Promise.race([once(program, "message"), ended])) as [string];
    if (said !== "done") throw new Error(`The disk failed: ${said}`);
  };
  const ask = async (request: DiskRequest): Promise<void> => {
    program.send(request);
    await done();
  };
  await done();
  return {
    ...{ path, outside },
    async losePower(seed = 0, crash = () => undefined) {
      await ask({ ask: "cut" });
      await crash();
      await ask({ ask: "restore", seed });
    },
    async [Symbol.asyncDispose]() {
      program.send({ ask: "end" } satisfies DiskRequest);
      await gone;
      await folder[Symbol.asyncDispose]();
    },
  };
}
