import { setTimeout as sleep } from "node:timers/promises";
import { FsError } from "../base/fs-error.ts";
import type { Maybe } from "../base/maybe.ts";
import type { Operations } from "./operations.ts";

/**
 * A file system that cannot be served for now: who waits for an answer cannot even be ended, so he is told that it failed.
 */

/** Whoever asks again and again is not to keep the machine busy. */
const DELAY_MS = 500;

/** Nobody waits for these: they are left to the process that serves again. */
const LEFT = new Set(["release", "releasedir"]);

async function refuse(name: string): Promise<never> {
  if (LEFT.has(name)) return new Promise(() => undefined);
  await sleep(DELAY_MS);
  // The kernel takes any other failure of a look-up for the end of the name, and of what is mounted there or below.
  throw new FsError(name === "lookup" ? "ENOMEM" : "EIO", `${name}, the volume cannot be reached`);
}

export const REFUSING = new Proxy({} as Operations, {
  get: (_none, name) => (): Maybe<never> => refuse(String(name)),
});
