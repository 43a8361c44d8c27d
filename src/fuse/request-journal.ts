import { closeSync, constants, openSync, readSync, writeSync, writevSync } from "node:fs";
import { REQUEST_BYTES } from "./abi.ts";

/**
 * Requests that were read and not answered yet, in a file in memory (tmpfs), for kernels that do not send them again
 * (before 6.9): the process that takes over executes them. A slot holds state and length, eight bytes each, then the request.
 * Slots are as far apart as the largest request; what is not written takes no memory.
 */

const HEAD_BYTES = 16;
const SLOT_BYTES = HEAD_BYTES + REQUEST_BYTES;
const FREE = 0n;
const TAKEN = 1n;
/** The bytes of a WRITE are where they belong: it must not be executed again, only answered. */
const WRITTEN = 2n;

/** A request that a process before did not answer. */
export interface LeftRequest {
  readonly slot: number;
  readonly request: Buffer;
  readonly written: boolean;
}

export class RequestJournal {
  readonly #fd: number;
  readonly #head = Buffer.alloc(HEAD_BYTES);
  readonly #state = Buffer.alloc(8);
  readonly #free: number[] = [];
  #end = 0;

  constructor(path: string) {
    this.#fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  }

  /** What a process before left, and the highest number it had seen. To be called before anything is noted. */
  recover(): { left: LeftRequest[]; highest: bigint } {
    const left: LeftRequest[] = [];
    let highest = 0n;
    for (let slot = 0; this.#readHead(slot); slot++) {
      const length = Number(this.#head.readBigUInt64LE(8));
      const state = this.#head.readBigUInt64LE(0);
      const request = Buffer.alloc(length);
      readSync(this.#fd, request, 0, length, slot * SLOT_BYTES + HEAD_BYTES);
      const unique = request.readBigUInt64LE(8);
      if (unique > highest) highest = unique;
      if (state === FREE) this.#free.push(slot);
      else left.push({ slot, request, written: state === WRITTEN });
      this.#end = slot + 1;
    }
    return { left, highest };
  }

  /** Notes a request down, before anything is done with it. @returns its slot */
  note(request: Buffer): number {
    const slot = this.#free.pop() ?? this.#end++;
    this.#head.writeBigUInt64LE(TAKEN, 0);
    this.#head.writeBigUInt64LE(BigInt(request.length), 8);
    writevSync(this.#fd, [this.#head, request], slot * SLOT_BYTES);
    return slot;
  }

  /** A WRITE was done and is about to be answered. */
  written(slot: number): void {
    this.#set(slot, WRITTEN);
  }

  answered(slot: number): void {
    this.#set(slot, FREE);
    this.#free.push(slot);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #readHead(slot: number): boolean {
    return readSync(this.#fd, this.#head, 0, HEAD_BYTES, slot * SLOT_BYTES) === HEAD_BYTES;
  }

  #set(slot: number, state: bigint): void {
    this.#state.writeBigUInt64LE(state, 0);
    writeSync(this.#fd, this.#state, 0, 8, slot * SLOT_BYTES);
  }
}
