import { execFile } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import express, { type Request, type Response } from "express";
import { makeFolder } from "./folder.ts";

/** A registry of the test's own, in memory: what `docker plugin push` and `install` need of the distribution protocol. */
export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:port`: an engine trusts what is on its own machine. */
  readonly host: string;
}

interface Content {
  readonly type: string;
  readonly body: Buffer;
}

export async function startRegistry(): Promise<TestRegistry> {
  const server = createServer(await certificate(), registry());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

function registry(): express.Express {
  const contents = new Map<string, Content>();
  const uploads = new Map<string, Buffer>();
  const app = express();
  app.use(express.raw({ type: () => true, limit: "1gb" }));

  const store = (request: Request, response: Response, content: Content): void => {
    const digest = digestOf(content.body);
    contents.set(request.path, content);
    contents.set(request.path.replace(/[^/]+$/, digest), content);
    response.setHeader("Docker-Content-Digest", digest);
    response.status(201).end();
  };

  app.get("/v2/", (_request, response) => {
    response.json({});
  });
  app.post("/v2/*name/blobs/uploads/", (request, response) => {
    response.setHeader("Location", `${request.path}${randomUUID()}`);
    response.status(202).end();
  });
  app.patch("/v2/*name/blobs/uploads/:id", (request, response) => {
    const body = Buffer.concat([uploads.get(request.path) ?? Buffer.alloc(0), bodyOf(request)]);
    uploads.set(request.path, body);
    response.setHeader("Location", request.path);
    response.setHeader("Range", `0-${body.length - 1}`);
    response.status(202).end();
  });
  app.put("/v2/*name/blobs/uploads/:id", (request, response) => {
    const body = Buffer.concat([uploads.get(request.path) ?? Buffer.alloc(0), bodyOf(request)]);
    request.url = request.path.replace(/uploads\/[^/]+$/, digestOf(body));
    store(request, response, { type: "application/octet-stream", body });
  });
  app.put("/v2/*name/manifests/:reference", (request, response) => {
    store(request, response, {
      type: request.headers["content-type"] ?? "",
      body: bodyOf(request),
    });
  });
  app.get("/v2/*name/:kind/:key", (request, response) => {
    const found = contents.get(request.path);
    if (found === undefined) {
      response.status(404).json({});
      return;
    }
    response.setHeader("Content-Type", found.type);
    response.setHeader("Docker-Content-Digest", digestOf(found.body));
    response.end(request.method === "HEAD" ? undefined : found.body);
  });
  return app;
}

function bodyOf(request: Request): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
}

/** Signed by itself: of a registry on this machine an engine wants no better one. */
async function certificate(): Promise<{ key: Buffer; cert: Buffer }> {
  await using folder = await makeFolder();
  const [key, cert] = [join(folder.path, "key"), join(folder.path, "cert")];
  const kind = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=registry"];
  await promisify(execFile)("openssl", ["req", ...kind, "-keyout", key, "-out", cert]);
  return { key: await readFile(key), cert: await readFile(cert) };
}

function digestOf(body: Buffer): string {
  return `sha256:${createHash("sha256").update(body).digest("hex")}`;
}
