import { setTimeout as sleep } from "node:timers/promises";
import { readRequests, writeReply, type DeviceDescriptors } from "./channel.ts";
import { Dispatcher, type Reply } from "./dispatch.ts";
import type { Operations } from "./operations.ts";
import type { UnderWay } from "./under-way.ts";

/**
 * A mounted file system from its first request to its last. Answers come in any order; each carries the number of its
 * request, copied with the mark that the kernel put on it.
 */
export class FuseSession {
  readonly #device: DeviceDescriptors;
  readonly #dispatcher: Dispatcher;
  readonly #underWay: UnderWay;
  #unanswered = 0;
  #idle = Promise.withResolvers<void>();
  readonly #leaving = new AbortController();

  constructor(device: DeviceDescriptors, fs: Operations, underWay: UnderWay) {
    this.#device = device;
    this.#dispatcher = new Dispatcher(fs);
    this.#underWay = underWay;
  }

  /** Serves until the file system is unmounted and everything is answered. */
  async serve(): Promise<void> {
    await readRequests(this.#device, this.#leaving.signal, (request) => {
      this.#take(request);
    });
    await this.#answered();
  }

  /** Reads no more requests; settles when those under way are answered, or after `limitMs`. */
  async leave(limitMs: number): Promise<void> {
    this.#leaving.abort();
    await Promise.race([this.#answered(), sleep(limitMs, undefined, { ref: false })]);
  }

  async #answered(): Promise<void> {
    if (this.#unanswered > 0) await this.#idle.promise;
  }

  #take(request: Buffer): void {
    const reply = this.#dispatcher.dispatch(request);
    if (reply instanceof Promise) this.#answerLater(reply, request);
    else if (reply !== undefined)
      this.#answer(reply, request.readUInt32LE(8), request.readUInt32LE(12));
  }

  #answerLater(reply: Promise<Reply>, request: Buffer): void {
    const low = request.readUInt32LE(8);
    const high = request.readUInt32LE(12);
    const task = this.#underWay.begin(request);
    this.#unanswered++;
    void reply.then((answer) => {
      if (answer !== undefined) this.#answer(answer, low, high);
      if (task !== undefined) this.#underWay.end(task);
      if (--this.#unanswered > 0) return;
      this.#idle.resolve();
      this.#idle = Promise.withResolvers();
    });
  }

  #answer(reply: Exclude<Reply, undefined>, low: number, high: number): void {
    const head = (Buffer.isBuffer(reply) ? reply : reply[0]) as Buffer;
    head.writeUInt32LE(low, 8);
    head.writeUInt32LE(high, 12);
    writeReply(this.#device.replies, reply);
  }
}
