import assert from "node:assert/strict";
import { once } from "node:events";
import { cp, readFile, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeFolder } from "./folder.ts";
import { makeNamespace, type ProgramInside, type TestNamespace } from "./namespace.ts";
import { until } from "./process.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));

/** What the driver answers. */
export interface Answer {
  readonly Err: string;
  readonly Mountpoint?: string;
  readonly Volume?: ShownVolume;
  readonly Volumes?: readonly ShownVolume[];
}

export interface ShownVolume {
  readonly Name: string;
  readonly Mountpoint: string;
  readonly CreatedAt: string;
  readonly Status?: Readonly<Record<string, unknown>>;
}

/** A volume driver of the test's own, in a mount namespace of its own. */
export interface TestDriver extends AsyncDisposable {
  readonly namespace: TestNamespace;
  readonly state: string;
  readonly socket: string;
  /** The process that is there now. */
  readonly program: () => ProgramInside;
  /** Calls a method as dockerd does. */
  call(method: string, body?: unknown): Promise<Answer>;
  /** Calls it and expects that it is done. */
  done(method: string, body?: unknown): Promise<Answer>;
  /** Starts another one, after the one before has ended. `product`: of a copy of the sources. */
  start(product?: string): Promise<void>;
}

/** A copy of the sources that says it is another version, with `changed` files. @returns the folder */
export async function copyProduct(
  to: string,
  version: string,
  changed: Readonly<Record<string, string>> = {},
): Promise<string> {
  await cp(join(PROJECT, "src"), join(to, "src"), { recursive: true });
  await cp(join(PROJECT, "package.json"), join(to, "package.json"));
  await symlink(join(PROJECT, "node_modules"), join(to, "node_modules"));
  const path = join(to, "src/base/version.ts");
  const text = await readFile(path, "utf8");
  await writeFile(path, text.replace(/(?<=VERSION = .*)[0-9.]+(?=`)/, `.${version}`));
  for (const [name, content] of Object.entries(changed)) await writeFile(join(to, name), content);
  return to;
}

/** @param place in whose namespace it runs; else in one of its own */
/** As its unit and its plugin start it. */
const YOUNG_OBJECTS = "--max-semi-space-size=2";

export async function startDriver(
  env: NodeJS.ProcessEnv = {},
  place?: { readonly namespace: TestNamespace },
): Promise<TestDriver> {
  const folder = await makeFolder();
  const namespace = place?.namespace ?? (await makeNamespace());
  const state = join(folder.path, "state");
  const socket = namespace.path("/run/docker/plugins/juicefs.sock");
  let program: ProgramInside | undefined;
  const start = async (product = PROJECT): Promise<void> => {
    const main = join(product, "src/driver/main.ts");
    program = namespace.start(process.execPath, [YOUNG_OBJECTS, main], {
      ...{ JUICEFS_STATE: state, ...env },
    });
    await until("the driver", () => {
      if (program?.child.exitCode !== null) throw new Error(`It ended: ${program?.output()}`);
      return program.output().includes('"listening"');
    });
  };
  const call = async (method: string, body?: unknown): Promise<Answer> =>
    JSON.parse((await request(socket, method, body)).body) as Answer;
  const driver: TestDriver = {
    ...{ namespace, state, socket, start, call },
    program: () => program ?? assert.fail("it was never started"),
    async done(method, body) {
      const answer = await call(method, body);
      assert.equal(answer.Err, "", method);
      return answer;
    },
    async [Symbol.asyncDispose]() {
      if (place === undefined) await namespace[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
  await start();
  return driver;
}

/** The bytes that dockerd 20.10 sends: no content type, an empty host, a line end behind the JSON. */
export function requestBytes(method: string, body?: unknown): string {
  const text = body === undefined ? "" : `${JSON.stringify(body)}\n`;
  return [
    `POST /${method} HTTP/1.1`,
    "Host: ",
    "User-Agent: Go-http-client/1.1",
    `Content-Length: ${Buffer.byteLength(text)}`,
    "Accept: application/vnd.docker.plugins.v1.2+json",
    "",
    text,
  ].join("\r\n");
}

export async function request(
  socket: string,
  method: string,
  body?: unknown,
): Promise<{ status: number; body: string }> {
  return exchange(socket, requestBytes(method, body));
}

/** Sends bytes and reads one answer. */
export async function exchange(
  socketPath: string,
  bytes: string,
): Promise<{ status: number; body: string }> {
  const socket = connect(socketPath);
  await once(socket, "connect");
  socket.write(bytes);
  let text = "";
  try {
    for await (const chunk of socket) {
      text += String(chunk);
      const [head = "", body = ""] = text.split("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? "NaN");
      if (Buffer.byteLength(body) >= length) {
        return { status: Number(head.split(" ")[1]), body };
      }
    }
  } finally {
    socket.destroy();
  }
  throw new Error(`The answer was cut off: ${text}`);
}

/** A mount ID as dockerd makes them. */
export function mountId(digit: string): string {
  return digit.repeat(64);
}
