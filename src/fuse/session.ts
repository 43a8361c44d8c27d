import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { log } from "../base/log.ts";
import { IN_HEADER_BYTES, Opcode } from "./abi.ts";
import { readRequests, writeReply, type DeviceDescriptors } from "./channel.ts";
import { Dispatcher, type Reply } from "./dispatch.ts";
import { encodeError, encodeWritten } from "./encode.ts";
import type { KernelNotifier } from "./notify.ts";
import type { Operations } from "./operations.ts";
import type { Polling } from "./polling.ts";
import type { LeftRequest, RequestJournal } from "./request-journal.ts";
import type { UnderWay } from "./under-way.ts";

/** Nobody answers these. */
const SILENT = new Set<number>([Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.INTERRUPT]);
/**
 * These tell what there is, or what was made way for, and wait until the kernel was told of what was heard before. Not what takes
 * a name away: the kernel has more locked then than the node that is asked.
 */
const TELLING = new Set<number>([
  ...[Opcode.LOOKUP, Opcode.GETATTR, Opcode.OPEN, Opcode.OPENDIR, Opcode.READ, Opcode.READLINK],
  ...[Opcode.READDIR, Opcode.READDIRPLUS, Opcode.GETXATTR, Opcode.LISTXATTR],
  ...[Opcode.CREATE, Opcode.MKNOD, Opcode.MKDIR, Opcode.SYMLINK, Opcode.LINK],
]);
const NODE_AT = 16;
/** A request that was read and could not be noted any more has a number near those that were. Numbers are even. */
const NUMBERS_BEFORE = 4096n;
const NUMBERS_BEHIND = 256n;

export interface SessionParts {
  readonly underWay: UnderWay;
  /** For a kernel that does not send again what a process left unanswered. */
  readonly journal?: RequestJournal | undefined;
  readonly polling?: Polling | undefined;
  readonly notifier?: Pick<KernelNotifier, "isBehind" | "told"> | undefined;
}

/**
 * A mounted file system from its first request to its last. Answers come in any order; each carries the number of its
 * request, copied with the mark that the kernel put on it.
 */
export class FuseSession {
  readonly #device: DeviceDescriptors;
  readonly #dispatcher: Dispatcher;
  readonly #journal: RequestJournal | undefined;
  readonly #leaving = new AbortController();
  readonly #underWay: UnderWay;
  readonly #polling: Polling | undefined;
  readonly #notifier: SessionParts["notifier"];
  #unanswered = 0;
  #idle = Promise.withResolvers<void>();

  constructor(
    device: DeviceDescriptors,
    fs: Operations,
    { underWay, journal, polling, notifier }: SessionParts,
  ) {
    this.#device = device;
    this.#dispatcher = new Dispatcher(fs);
    this.#underWay = underWay;
    this.#journal = journal;
    this.#polling = polling;
    this.#notifier = notifier;
  }

  /** Serves until the file system is unmounted and everything is answered. */
  async serve(): Promise<void> {
    await readRequests(this.#device, this.#leaving.signal, (request) => {
      this.#take(request, SILENT.has(request.readUInt32LE(4)) ? undefined : this.#note(request));
    });
    await this.#answered();
  }

  /** Executes what a process before noted down and did not answer; what it could not even note down is answered EIO. */
  takeOver(): void {
    if (this.#journal === undefined) return;
    const { left, highest } = this.#journal.recover();
    const noted = new Set(left.map(({ request }) => request.readBigUInt64LE(8)));
    const unnoted = encodeError(constants.errno.EIO);
    const first = highest > NUMBERS_BEFORE ? highest - NUMBERS_BEFORE : 2n;
    for (let number = first - (first % 2n); number <= highest + NUMBERS_BEHIND; number += 2n) {
      if (noted.has(number)) continue;
      unnoted.writeBigUInt64LE(number, 8);
      writeReply(this.#device.replies, unnoted);
    }
    for (const one of left) this.#takeLeft(one);
  }

  /** Reads no more requests; settles when those under way are answered, or after `limitMs`. */
  async leave(limitMs: number): Promise<void> {
    this.#leaving.abort();
    await Promise.race([this.#answered(), sleep(limitMs, undefined, { ref: false })]);
  }

  async #answered(): Promise<void> {
    if (this.#unanswered > 0) await this.#idle.promise;
  }

  #note(request: Buffer): number | undefined {
    return this.#journal?.note(request);
  }

  #takeLeft({ slot, request, written }: LeftRequest): void {
    if (!written) {
      this.#take(request, slot);
      return;
    }
    const reply = encodeWritten(request.readUInt32LE(IN_HEADER_BYTES + 16));
    this.#answer(reply, request, slot);
  }

  #take(request: Buffer, slot: number | undefined): void {
    const reply = this.#dispatcher.dispatch(request);
    if (reply instanceof Promise) {
      this.#answerLater(reply, request, slot);
      this.#polling?.awaitAnswer();
    } else if (reply !== undefined) {
      if (this.#isHeld(request)) this.#answerLater(Promise.resolve(reply), request, slot);
      else this.#answer(reply, request, slot);
      this.#polling?.awaitNext();
    }
  }

  #isHeld(head: Buffer): boolean {
    if (this.#notifier?.isBehind(lockedBy(head)) !== true) return false;
    return TELLING.has(head.readUInt32LE(4));
  }

  #answerLater(reply: Promise<Reply>, request: Buffer, slot: number | undefined): void {
    // The request's own bytes are gone by then.
    const head = Buffer.from(request.subarray(0, NODE_AT + 8));
    const task = this.#underWay.begin(request);
    this.#unanswered++;
    const give = (answer: Reply): void => {
      if (answer !== undefined) this.#answer(answer, head, slot);
      this.#polling?.awaitNext();
      if (task !== undefined) this.#underWay.end(task);
      if (--this.#unanswered > 0) return;
      this.#idle.resolve();
      this.#idle = Promise.withResolvers();
    };
    void reply.then((answer) => {
      if (answer !== undefined && this.#isHeld(head)) this.#hold(answer, head, give);
      else give(answer);
    });
  }

  #hold(reply: Exclude<Reply, undefined>, head: Buffer, give: (reply: Reply) => void): void {
    // Data is lent for this turn of the event loop.
    const kept = Buffer.isBuffer(reply) ? reply : [Buffer.concat(reply)];
    void this.#notifier?.told(lockedBy(head)).then(() => {
      give(kept);
    });
  }

  /** `head`: the first 16 bytes of the request at least. */
  #answer(reply: Exclude<Reply, undefined>, head: Buffer, slot: number | undefined): void {
    const first = (Buffer.isBuffer(reply) ? reply : reply[0]) as Buffer;
    first.writeUInt32LE(head.readUInt32LE(8), 8);
    first.writeUInt32LE(head.readUInt32LE(12), 12);
    const journal = slot === undefined ? undefined : this.#journal;
    if (journal !== undefined && head.readUInt32LE(4) === Opcode.WRITE) {
      journal.written(slot ?? 0);
    }
    try {
      writeReply(this.#device.replies, reply);
    } catch (error) {
      log.error({ error, opcode: head.readUInt32LE(4) }, "the kernel refused an answer");
      const refused = encodeError(constants.errno.EIO);
      head.copy(refused, 8, 8, 16);
      writeReply(this.#device.replies, refused);
    }
    journal?.answered(slot ?? 0);
  }
}

/** The node that the kernel may have locked until there is an answer; who opens a file waits without, and is to find nothing old. */
function lockedBy(head: Buffer): bigint {
  return head.readUInt32LE(4) === Opcode.OPEN ? 0n : head.readBigUInt64LE(NODE_AT);
}
