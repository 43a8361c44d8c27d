import { log } from "../../base/log.ts";
import type { Ino } from "../types.ts";
import type { MetaContext } from "./context.ts";
import { integer, list } from "./reply.ts";

/**
 * Files without a name that somebody may have open. The format lets a session keep the inodes it has open, and only the
 * session that removed the name knows that there is something to keep. So while other mounts of ours are there, whoever
 * removes a last name keeps the inode for a short grace, longer than a notice takes to be heard or missed; whoever has it
 * open keeps it on that notice; whoever gives it up last deletes it. Official clients neither send nor heed any of it.
 */

/** Longer than the lease of the notices: a mount that heard none has looked for itself by then. */
const GRACE_MS = 4000;
const LOOK_MS = 500;
const INODES_AT_ONCE = 100;

export class Nameless {
  readonly #context: () => MetaContext;
  /** Removed here, and when they may go. In the order of their times. */
  readonly #waiting = new Map<Ino, number>();
  /** Removed elsewhere lately, and until when an open of them is to be noticed. */
  readonly #removed = new Map<Ino, number>();
  readonly #timer: NodeJS.Timeout;
  #toKeep: Ino[] = [];

  constructor(context: () => MetaContext) {
    this.#context = context;
    this.#timer = setInterval(() => {
      this.#look();
    }, LOOK_MS);
    this.#timer.unref();
  }

  /** This session removed the last name, and nobody here has the inode open. */
  removedHere(ino: Ino): void {
    this.#waiting.set(ino, performance.now() + GRACE_MS);
  }

  /** Another session removed the last name. */
  removedElsewhere(ino: Ino): void {
    this.#removed.set(ino, performance.now() + GRACE_MS);
    if (this.#context().openFiles.has(ino)) this.#keepSoon(ino);
  }

  /** A file was opened here, perhaps by a look-up that was overtaken by its removal. */
  opened(ino: Ino): void {
    this.#waiting.delete(ino);
    if (this.#removed.has(ino)) this.#keepSoon(ino);
  }

  /** Notices may have been missed: looks after everything open. */
  lookAtAll(): void {
    for (const ino of this.#context().openFiles.inodes()) this.#keepSoon(ino);
  }

  /** Deletes at once what waits, to make room. @returns false when nothing waited */
  async deleteNow(): Promise<boolean> {
    const inodes = [...this.#waiting.keys()];
    this.#waiting.clear();
    await this.#forget(inodes);
    return inodes.length > 0;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    for (const [ino, until] of this.#removed) {
      if (until > now) break;
      this.#removed.delete(ino);
    }
    const due: Ino[] = [];
    for (const [ino, when] of this.#waiting) {
      if (when > now) break;
      this.#waiting.delete(ino);
      due.push(ino);
    }
    this.#forget(due).catch((error: unknown) => {
      log.warn({ error }, "files without a name stay for now");
      for (const ino of due) this.removedHere(ino);
    });
  }

  async #forget(inodes: readonly Ino[]): Promise<void> {
    const context = this.#context();
    const closed = inodes.filter((ino) => !context.openFiles.has(ino));
    for (let at = 0; at < closed.length; at += INODES_AT_ONCE) {
      await forgetInodes(context, closed.slice(at, at + INODES_AT_ONCE), context.sid);
    }
  }

  #keepSoon(ino: Ino): void {
    if (this.#toKeep.push(ino) === 1) setImmediate(() => void this.#keep());
  }

  async #keep(): Promise<void> {
    const { answers, sid } = this.#context();
    const inodes = this.#toKeep;
    this.#toKeep = [];
    try {
      for (let at = 0; at < inodes.length; at += INODES_AT_ONCE) {
        const some = inodes.slice(at, at + INODES_AT_ONCE).map(String);
        await answers.change("sustain", [`session${sid}`], some);
      }
    } catch (error) {
      log.warn({ error }, "files that are open here and were removed elsewhere are not kept");
    }
  }
}

/** A session gives up inodes without a name; the data of those that nobody keeps is deleted. */
export async function forgetInodes(
  context: MetaContext,
  inodes: readonly Ino[],
  sid: bigint,
): Promise<void> {
  if (inodes.length === 0) return;
  const keys = [`session${sid}`, "allSessions"];
  const lengths = list(
    await context.answers.change("forget", keys, [sid.toString(), ...inodes.map(String)]),
  ).map(integer);
  for (const [index, ino] of inodes.entries()) {
    const length = lengths[index] ?? -1;
    if (length >= 0) context.deletions.fileSoon(ino, length);
  }
}
