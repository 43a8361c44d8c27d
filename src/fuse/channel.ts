import { read, writeSync, writevSync } from "node:fs";
import { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { log } from "../base/log.ts";
import { REQUEST_BYTES } from "./abi.ts";
import type { Reply } from "./dispatch.ts";

/**
 * The device: reads requests into one buffer, writes replies. A libuv pipe handle opened on the descriptor lets the event
 * loop wait for requests and read each one whole; that handle is internal to Node, so where it is missing requests are
 * read on the thread pool, two to five times slower.
 */

const readAsync = promisify(read);

/** The descriptors of a mount: the same open file twice, for a pipe handle closes its own. */
export interface DeviceDescriptors {
  readonly requests: number;
  readonly replies: number;
}

/** Takes one request; its bytes are valid until it returns. */
export type TakeRequest = (request: Buffer) => void;

/** Reads requests until the file system is unmounted, or the signal aborts. */
export async function readRequests(
  device: DeviceDescriptors,
  signal: AbortSignal,
  take: TakeRequest,
): Promise<void> {
  const buffer = Buffer.allocUnsafeSlow(REQUEST_BYTES);
  const Pipe = pipeHandle();
  if (Pipe !== undefined) {
    const error = await readThroughPipe(new Pipe(0), device.requests, { buffer, signal, take });
    if (isUnmounted(error) || signal.aborted) return;
    log.warn({ error }, "reading requests on the thread pool from now on");
  }
  await readThroughPool(device.replies, { buffer, signal, take });
}

/** Writes a reply, unless nobody waits for it any more. */
export function writeReply(fd: number, reply: Exclude<Reply, undefined>): void {
  try {
    if (Buffer.isBuffer(reply)) writeSync(fd, reply);
    else writevSync(fd, reply);
  } catch (error) {
    // ENOENT: the request was interrupted. ENODEV: unmounted meanwhile.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "ENODEV" && code !== "ECONNABORTED") throw error;
  }
}

interface Reading {
  readonly buffer: Buffer;
  readonly signal: AbortSignal;
  readonly take: TakeRequest;
}

interface PipeHandle {
  open(fd: number): number;
}

type PipeConstructor = new (type: number) => PipeHandle;

function pipeHandle(): PipeConstructor | undefined {
  const { binding } = process as unknown as {
    binding?: (name: string) => { Pipe?: PipeConstructor };
  };
  try {
    return binding?.call(process, "pipe_wrap").Pipe;
  } catch {
    return undefined;
  }
}

/** Settles with the error that ended reading. */
function readThroughPipe(
  pipe: PipeHandle,
  fd: number,
  { buffer, signal, take }: Reading,
): Promise<unknown> {
  return new Promise((resolve) => {
    pipe.open(fd);
    const options = {
      handle: pipe,
      readable: true,
      writable: false,
      onread: {
        buffer,
        callback: (length: number): boolean => {
          take(buffer.subarray(0, length));
          return true;
        },
      },
    };
    const socket = new Socket(options as unknown as ConstructorParameters<typeof Socket>[0]);
    socket.on("error", resolve);
    socket.on("close", () => {
      resolve(undefined);
    });
    signal.addEventListener("abort", () => socket.destroy(), { once: true });
    socket.resume();
  });
}

async function readThroughPool(fd: number, { buffer, signal, take }: Reading): Promise<void> {
  while (!signal.aborted) {
    try {
      const { bytesRead } = await readAsync(fd, buffer, 0, buffer.length, null);
      take(buffer.subarray(0, bytesRead));
    } catch (error) {
      if (isUnmounted(error)) return;
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EAGAIN") await sleep(1);
      else if (code !== "ENOENT" && code !== "EINTR") throw error;
    }
  }
}

function isUnmounted(error: unknown): boolean {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : "ENODEV";
  return code === "ENODEV" || code === "ECONNABORTED";
}
