import { once } from "node:events";
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { dirname } from "node:path";
import express, { type Request, type Response } from "express";
import type { z } from "zod";
import { log } from "../base/log.ts";
import { isServed } from "../base/socket.ts";
import type { Driver } from "./driver.ts";
import { AnyRequest, CreateRequest, MountRequest, NameRequest, readRequest } from "./protocol.ts";
import { ACTIVATED_FD } from "./settings.ts";

/**
 * The volume protocol on a Unix socket. Each request is answered within dockerd's patience, and always with status 200: an
 * error is `Err`, which dockerd shows as it is. What was done for a caller that has gone away is undone.
 */

/** dockerd's command line gives up after 30 s where a plugin was enabled by hand. */
const WORK_MS = 24_000;
const ANSWER_MS = 25_000;
const BODY_MAX = "1mb";
const CONTENT_TYPE = "application/vnd.docker.plugins.v1.2+json";

interface Done {
  readonly answer: Readonly<Record<string, unknown>>;
  /** Where the caller did not hear of it. */
  readonly undo?: () => Promise<void>;
}

type Handler = (method: string, body: Buffer, signal: AbortSignal) => Promise<Done>;

function handlers(driver: Driver): Record<string, Handler> {
  return {
    "Plugin.Activate": handle(AnyRequest, async () => {
      // Asked once by each dockerd; a managed plugin is never asked.
      driver.engineChanged();
      return { answer: { Implements: ["VolumeDriver"] } };
    }),
    "VolumeDriver.Capabilities": handle(AnyRequest, async () => ({
      answer: { Capabilities: { Scope: "local" } },
    })),
    "VolumeDriver.Create": handle(CreateRequest, async ({ Name, Opts }, signal) => {
      await driver.create(Name, Opts, signal);
      return { answer: {} };
    }),
    "VolumeDriver.Get": handle(NameRequest, async ({ Name }) => ({
      answer: { Volume: driver.get(Name) },
    })),
    "VolumeDriver.List": handle(AnyRequest, async () => ({ answer: { Volumes: driver.list() } })),
    "VolumeDriver.Remove": handle(NameRequest, async ({ Name }, signal) => {
      await driver.remove(Name, signal);
      return { answer: {} };
    }),
    "VolumeDriver.Path": handle(NameRequest, async ({ Name }) => ({
      answer: { Mountpoint: driver.path(Name) },
    })),
    "VolumeDriver.Mount": handle(MountRequest, async ({ Name, ID }, signal) => ({
      answer: { Mountpoint: await driver.mount(Name, ID, signal) },
      undo: () => driver.unmount(Name, ID),
    })),
    "VolumeDriver.Unmount": handle(MountRequest, async ({ Name, ID }) => {
      await driver.unmount(Name, ID);
      return { answer: {} };
    }),
  };
}

function handle<T>(
  schema: z.ZodType<T>,
  work: (request: T, signal: AbortSignal) => Promise<Done>,
): Handler {
  return async (method, body, signal) => work(readRequest(method, body, schema), signal);
}

export interface ServerOptions {
  /** Undefined: at the descriptor that systemd passes. */
  readonly socket: string | undefined;
  /** Somebody connected and said nothing, as a dockerd does that has just started. */
  readonly probed?: () => void;
}

export interface Served {
  readonly server: Server;
  /** Settles when nobody waits for an answer any more; a request that is not whole waits for none. */
  readonly answered: () => Promise<void>;
}

/** Listens. @throws Error in one sentence where it cannot */
export async function serve(driver: Driver, options: ServerOptions): Promise<Served> {
  const app = express();
  app.disable("x-powered-by").disable("etag");
  // dockerd names no content type.
  app.use(express.raw({ type: () => true, limit: BODY_MAX }));
  const asked = new Set<Response>();
  app.use((_request: Request, response: Response, next: () => void) => {
    asked.add(response);
    response.once("close", () => asked.delete(response));
    next();
  });
  for (const [method, handler] of Object.entries(handlers(driver))) {
    app.post(`/${method}`, (request, response) => answer(method, handler, request, response));
  }
  app.use((request: Request, response: Response) => {
    send(response.status(404), { Err: `there is no ${request.method} ${request.path}` });
  });
  app.use((error: Error, _request: Request, response: Response, _next: unknown) => {
    send(response, { Err: error.message });
  });
  // Limits of its own would end connections that dockerd keeps, and it repeats what is lost with an empty body.
  const limits = { keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 };
  const server = createServer({ ...limits, requireHostHeader: false }, app);
  server.on("connection", (socket) => {
    socket.once("close", () => {
      if (socket.bytesRead === 0) options.probed?.();
    });
  });
  await listen(server, options.socket);
  return {
    server,
    async answered() {
      for (const response of asked) if (!response.closed) await once(response, "close");
    },
  };
}

async function answer(
  method: string,
  handler: Handler,
  request: Request,
  response: Response,
): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) gone.abort();
  });
  const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(WORK_MS)]);
  const working = handler(method, bodyOf(request), signal);
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => {
    late.resolve(undefined);
  }, ANSWER_MS);
  try {
    const done = await Promise.race([working, late.promise]);
    if (done !== undefined && !gone.signal.aborted) {
      send(response, { ...done.answer, Err: "" });
      return;
    }
    void working.then((finished) => finished.undo?.()).catch(() => undefined);
    throw new Error(`${method} is not done after ${ANSWER_MS / 1000} s`);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    if (!text.startsWith("no such volume")) log.warn({ method, error: text }, "refused");
    if (!gone.signal.aborted) send(response, { Err: text });
  } finally {
    clearTimeout(timer);
  }
}

function bodyOf(request: Request): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
}

function send(response: Response, body: Readonly<Record<string, unknown>>): void {
  response.setHeader("Content-Type", CONTENT_TYPE);
  response.end(`${JSON.stringify(body)}\n`);
}

async function listen(server: Server, socket: string | undefined): Promise<void> {
  if (socket === undefined) {
    server.listen({ fd: ACTIVATED_FD });
    await once(server, "listening");
    return;
  }
  mkdirSync(dirname(socket), { recursive: true });
  // A socket file without anybody makes dockerd wait 15 s for each volume.
  if (await isServed(socket)) {
    throw new Error(`Cannot listen on "${socket}": another driver serves there; stop it first`);
  }
  rmSync(socket, { force: true });
  server.listen(socket);
  await once(server, "listening");
  chmodSync(socket, 0o660);
}
