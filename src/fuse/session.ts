import { readRequests, writeReply, type DeviceDescriptors } from "./channel.ts";
import { Dispatcher, type Reply } from "./dispatch.ts";
import type { Operations } from "./operations.ts";

/**
 * A mounted file system from its first request to its last. Answers come in any order; each carries the number of its
 * request, copied with the mark that the kernel put on it.
 */
export class FuseSession {
  readonly #device: DeviceDescriptors;
  readonly #dispatcher: Dispatcher;
  #underWay = 0;
  #idle: (() => void) | undefined;

  constructor(device: DeviceDescriptors, fs: Operations) {
    this.#device = device;
    this.#dispatcher = new Dispatcher(fs);
  }

  /** Serves until the file system is unmounted and everything is answered. */
  async serve(): Promise<void> {
    await readRequests(this.#device, (request) => {
      this.#take(request);
    });
    if (this.#underWay > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
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
    this.#underWay++;
    void reply.then((answer) => {
      if (answer !== undefined) this.#answer(answer, low, high);
      if (--this.#underWay === 0) this.#idle?.();
    });
  }

  #answer(reply: Exclude<Reply, undefined>, low: number, high: number): void {
    const head = (Buffer.isBuffer(reply) ? reply : reply[0]) as Buffer;
    head.writeUInt32LE(low, 8);
    head.writeUInt32LE(high, 12);
    writeReply(this.#device.replies, reply);
  }
}
