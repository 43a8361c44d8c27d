import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { wallClock } from "../../base/clock.ts";
import { FsError } from "../../base/fs-error.ts";
import { log } from "../../base/log.ts";
import type { Argument } from "./script-call.ts";
import { callScript, pause, translated, Unanswered } from "./scripts.ts";

/**
 * Each change is executed exactly once, whatever is cut off or killed meanwhile. A session has a reply cache with a
 * fence in Redis, the hash `answers<sid>`: a generation, and a slot for each change that may be under way. Scripts refuse
 * another generation and leave number and answer in their slot. Whoever takes over, a new connection or a new process, raises the
 * generation and gets all slots: a change that has one is answered from it, one that has none was not executed and never will be.
 */

/** Changes under way at once; more wait for a slot. */
const SLOTS = 128;
/** How long an operation waits for a server that does not answer, in milliseconds. */
export const PATIENCE_MS = 30_000;

/** What scripts of a session need besides their own keys and arguments. */
export interface ChangeContext {
  readonly sid: bigint;
  readonly channel: string;
  /** How long an operation waits for a server that does not answer. */
  readonly patienceMs: number;
  /** Letters the prelude knows: `d` directory statistics, `g` others may have a removed file open, `t` and milliseconds. */
  readonly options: () => string;
  /** Called when the fence is not ours: perhaps the session was ended by somebody. */
  readonly fenced?: () => void;
  /** The highest numbers that were fetched. */
  readonly fetched?: () => { readonly inode: bigint; readonly slice: bigint };
  /** Frees space that waits to be freed; false where none does. */
  readonly makeRoom?: () => Promise<boolean>;
}

export class Answers {
  readonly #client: Redis;
  readonly #context: ChangeContext;
  readonly #free = Array.from({ length: SLOTS }, (_, slot) => slot);
  readonly #waiting: ((slot: number) => void)[] = [];
  #generation = "0";
  #kept = new Map<string, unknown>();
  #ready: Promise<void>;
  #lost = 0;
  #next = 1;
  /** Begins the names of changes that have no number: never those of an earlier process. */
  readonly #unnamed = `${randomBytes(6).toString("base64")}-`;
  readonly #patienceMs: number;
  #closed = false;
  #changes = 0;

  constructor(client: Redis, context: ChangeContext) {
    this.#client = client;
    this.#context = context;
    this.#patienceMs = context.patienceMs;
    this.#ready = this.#takeOver();
    this.#ready.catch(() => undefined);
    client.on("close", () => {
      this.#lost++;
    });
    client.on("ready", () => {
      this.#begin();
    });
  }

  /** Grows when a change begins, and when it ends. */
  get changes(): number {
    return this.#changes;
  }

  /** Settles when the session's fence is ours. */
  ready(): Promise<void> {
    return this.#ready;
  }

  #begin(): void {
    this.#ready = this.#takeOver();
    this.#ready.catch(() => undefined);
  }

  /** The same; what the server refused for a moment is begun anew, for the connection lasts and nobody else would. */
  async #owned(): Promise<void> {
    const begun = this.#ready;
    try {
      await begun;
    } catch (error) {
      if (this.#ready === begun && this.#client.status === "ready") this.#begin();
      throw error;
    }
  }

  /** The session was cleaned up by somebody and is registered again: its fence is made anew. */
  renew(): Promise<void> {
    this.#ready = this.#takeOver();
    return this.#ready;
  }

  close(): void {
    this.#closed = true;
  }

  /**
   * Runs a changing script, once. `number` names the change (the kernel's number of the request, or a name that looks
   * like none): one that an earlier process executed is answered from its slot.
   */
  async change(
    name: string,
    keys: readonly string[],
    args: readonly Argument[],
    number?: bigint | string,
  ): Promise<unknown> {
    const { sid, makeRoom } = this.#context;
    if (sid === 0n) throw new FsError("EROFS", name);
    const id = number === undefined ? `${this.#unnamed}${this.#next++}` : number.toString();
    try {
      return await this.#inSlot(name, keys, args, id);
    } catch (error) {
      const full = error instanceof FsError && error.code === "ENOSPC";
      if (!full || (await makeRoom?.()) !== true) throw error;
      return this.#inSlot(name, keys, args, id);
    }
  }

  async #inSlot(
    name: string,
    keys: readonly string[],
    args: readonly Argument[],
    id: string,
  ): Promise<unknown> {
    this.#changes++;
    const slot = this.#free.pop() ?? (await this.#slot());
    try {
      return await this.#execute(name, keys, args, { id, slot });
    } finally {
      this.#changes++;
      // The answer leaves in this turn of the event loop; until then somebody else may have to give it again.
      setImmediate(() => {
        this.#release(slot);
      });
    }
  }

  #release(slot: number): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(slot);
    else next(slot);
  }

  /** Runs a script or command that changes nothing, again until it is answered. */
  async ask<T>(action: string, work: () => Promise<T>): Promise<T> {
    const end = performance.now() + this.#patienceMs;
    for (let attempt = 0; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        const known = error instanceof FsError || error instanceof Unanswered;
        await this.#again(known ? error : translated(error, action), action, { attempt, end });
      }
    }
  }

  async #execute(
    name: string,
    keys: readonly string[],
    args: readonly Argument[],
    { id, slot }: { id: string; slot: number },
  ): Promise<unknown> {
    const { sid, channel, options } = this.#context;
    const allKeys = [`answers${sid}`, "notices", ...keys];
    const now = wallClock();
    const end = performance.now() + this.#patienceMs;
    for (let attempt = 0; ; attempt++) {
      try {
        if (this.#kept.size > 0 || attempt > 0) {
          await this.#owned();
          if (this.#kept.has(id)) return this.#takeKept(id);
        }
        const head = [
          this.#generation,
          slot,
          id,
          sid.toString(),
          now.sec,
          now.nsec,
          channel,
          options(),
        ];
        return await callScript(this.#client, name, allKeys, [...head, ...args]);
      } catch (error) {
        await this.#again(error, name, { attempt, end });
      }
    }
  }

  #takeKept(id: string): unknown {
    const answer = this.#kept.get(id);
    this.#kept.delete(id);
    return answer;
  }

  /** Waits before another try, or gives up with what the caller is to see. */
  async #again(
    error: unknown,
    action: string,
    { attempt, end }: { attempt: number; end: number },
  ): Promise<void> {
    if (error instanceof FsError && error.code !== "ESTALE") throw error;
    if (error instanceof FsError) this.#context.fenced?.();
    const fencedBefore = error instanceof FsError && attempt > 8;
    if (this.#closed || performance.now() > end || fencedBefore) {
      throw new FsError("EIO", action, { cause: error });
    }
    if (!(error instanceof Unanswered) && !(error instanceof FsError)) throw error;
    await pause(attempt);
  }

  async #slot(): Promise<number> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  async #takeOver(): Promise<void> {
    const { sid, fetched } = this.#context;
    if (sid === 0n) return;
    const lost = this.#lost;
    const { inode, slice } = fetched?.() ?? { inode: 0n, slice: 0n };
    const [generation, slots, forgotten] = (await callScript(
      this.#client,
      "takeover",
      [`answers${sid}`, "setting", "nextsession", "nextinode", "nextchunk"],
      [sid, inode, slice].map(String),
    )) as [Buffer, [Buffer, unknown][], number];
    if (forgotten > 0) log.warn("the server lost what was last written to it");
    if (lost !== this.#lost) return;
    this.#generation = generation.toString();
    this.#kept = new Map(slots.map(([id, answer]) => [id.toString(), answer]));
    if (slots.length > 0)
      log.info({ generation: this.#generation, slots: slots.length }, "session taken over");
  }
}
