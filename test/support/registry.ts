import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { makeFolder } from "./folder.ts";

/** A registry of the test's own, in memory: what `docker plugin push` and `install` need of the distribution protocol. */
export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:port`: an engine trusts what is on its own machine. */
  readonly host: string;
}

export async function startRegistry(): Promise<TestRegistry> {
  const blobs = new Map<string, Buffer>();
  const manifests = new Map<string, { type: string; body: Buffer }>();
  const uploads = new Map<string, Buffer[]>();

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://registry");
    const [, name = "", kind = "", key = ""] =
      /^\/v2\/(.+)\/(blobs|manifests|blobs\/uploads)\/([^/]*)$/.exec(pathname) ?? [];
    const body = await buffer(request);
    if (kind === "blobs/uploads") {
      const id = key === "" ? randomUUID() : key;
      const parts = uploads.get(id) ?? [];
      uploads.set(id, [...parts, body]);
      const digest = searchParams.get("digest");
      if (digest !== null) blobs.set(digest, Buffer.concat([...parts, body]));
      const length = Buffer.concat([...parts, body]).length;
      response.setHeader("Location", `/v2/${name}/blobs/uploads/${id}`);
      response.setHeader("Range", `0-${Math.max(length - 1, 0)}`);
      if (digest !== null) response.setHeader("Docker-Content-Digest", digest);
      response.writeHead(digest === null ? 202 : 201).end();
      return;
    }
    if (kind === "manifests" && request.method === "PUT") {
      const stored = { type: request.headers["content-type"] ?? "", body };
      for (const as of [key, digestOf(body)]) manifests.set(`${name}/${as}`, stored);
      response.setHeader("Docker-Content-Digest", digestOf(body));
      response.writeHead(201).end();
      return;
    }
    const found =
      kind === "manifests"
        ? manifests.get(`${name}/${key}`)
        : { type: "application/octet-stream", body: blobs.get(key) };
    if (pathname !== "/v2/" && found?.body === undefined) {
      response.writeHead(404).end("{}");
      return;
    }
    const content = found?.body ?? Buffer.from("{}");
    response.setHeader("Content-Type", found?.type ?? "application/json");
    response.setHeader("Content-Length", content.length);
    response.setHeader("Docker-Content-Digest", digestOf(content));
    response.writeHead(200).end(request.method === "HEAD" ? undefined : content);
  };

  const server = createServer(await certificate(), (request, response) => {
    void serve(request, response);
  });
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
