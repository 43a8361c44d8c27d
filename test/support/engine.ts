import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { makeFolder } from "./folder.ts";
import { makeNamespace, type ProgramInside, type TestNamespace } from "./namespace.ts";
import { until } from "./process.ts";

const run = promisify(execFile);
const PROJECT = fileURLToPath(new URL("../..", import.meta.url));

/** The image of every container here: busybox alone. */
export const IMAGE = "busybox:test";
const APPLETS =
  "sh cat echo ls touch mkdir sleep stat dd cp rm mv sync true id chown grep wc head seq date hostname";

/** A Docker engine of the test's own, without networks, in namespaces of its own. */
export interface TestEngine extends AsyncDisposable {
  readonly namespace: TestNamespace;
  readonly folder: string;
  /** Runs the command line; what it printed, without the last line end. Rejects with what it said when it fails. */
  docker(...args: readonly string[]): Promise<string>;
  /** What a command that must fail says. */
  refused(...args: readonly string[]): Promise<string>;
  /** Runs a command in a new container that is removed afterwards. `options` are those of docker run. */
  inContainer(options: readonly string[], script: string): Promise<string>;
  /** Starts a container that stays. */
  container(name: string, options: readonly string[], script?: string): Promise<void>;
  /** Processes in it whose command line begins so, as they are numbered inside. */
  processes(command: string): Promise<number[]>;
  /** All of them at once. */
  kill(pids: readonly number[], signal?: NodeJS.Signals): Promise<void>;
  log(): Promise<string>;
  daemon(): ProgramInside;
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** After it was stopped. */
  start(...options: readonly string[]): Promise<void>;
}

export async function startEngine(...options: readonly string[]): Promise<TestEngine> {
  return engineIn(await makeNamespace(), options);
}

/** One with a network of its own, in which containers may listen on any port. */
export async function startNetworkedEngine(): Promise<TestEngine> {
  return engineIn(await makeNamespace({ network: true }), []);
}

async function engineIn(namespace: TestNamespace, options: readonly string[]): Promise<TestEngine> {
  const { path: folder, ...going } = await makeFolder();
  const host = "unix:///run/docker.sock";
  let daemon: ProgramInside | undefined;
  const docker = async (...args: readonly string[]): Promise<string> =>
    (await namespace.run("docker", "--host", host, ...args)).trimEnd();
  const start = async (...more: readonly string[]): Promise<void> => {
    const flags = ["--data-root", join(folder, "data"), "--exec-root", "/run/engine"];
    const places = ["--pidfile", "/run/engine.pid", "--host", host];
    const script = `exec dockerd "$@" >>${folder}/log 2>&1`;
    daemon = namespace.start("sh", [
      ...["-c", script, "dockerd", ...flags, ...places],
      ...["--bridge=none", "--iptables=false", "--ip-forward=false", ...more],
    ]);
    await until("a Docker engine", () => docker("version").then(Boolean, () => false));
  };
  const engine: TestEngine = {
    ...{ namespace, folder, docker, start },
    async refused(...args) {
      const error = await docker(...args).then(
        () => assert.fail(`docker ${args.join(" ")} succeeded`),
        (failure: unknown) => failure as { stderr: string },
      );
      return error.stderr.trimEnd();
    },
    inContainer: (given, script) =>
      docker("run", "--rm", "--network", "none", ...given, IMAGE, "sh", "-c", script),
    async container(name, given, script = "sleep 10000") {
      const detached = ["--detach", "--init=false", "--network", "none", "--name", name];
      await docker("run", ...detached, ...given, IMAGE, "sh", "-c", script);
    },
    async processes(command) {
      const show = `tr "\\0" " " <$folder/cmdline 2>/dev/null`;
      const script = `for folder in /proc/[0-9]*; do echo "\${folder#/proc/} $(${show})"; done`;
      const lines = (await namespace.run("sh", "-c", script)).split("\n");
      // Node's own options stand before its program.
      const found = lines.filter((line) =>
        line
          .replace(/^\d+ /, "")
          .replace(/ --\S+(?= \/)/, "")
          .startsWith(command),
      );
      return found.map((line) => Number.parseInt(line, 10));
    },
    async kill(pids, signal = "SIGKILL") {
      assert.ok(pids.length > 0, "there is no such process");
      await namespace.run("kill", "-s", signal.slice(3), ...pids.map(String));
    },
    log: () => readFile(join(folder, "log"), "utf8"),
    daemon: () => daemon ?? assert.fail("it was never started"),
    async stop(signal = "SIGTERM") {
      await daemon?.stop(signal);
    },
    async [Symbol.asyncDispose]() {
      await namespace[Symbol.asyncDispose]();
      await going[Symbol.asyncDispose]();
    },
  };
  await start(...options);
  await importImage(engine);
  return engine;
}

/** An image with a program of this machine and the libraries it is linked to, beside busybox. */
export async function importProgram(
  engine: TestEngine,
  program: string,
  image: string,
): Promise<void> {
  const folder = join(engine.folder, image.replaceAll(/\W/g, "-"));
  const script = `
    mkdir -p bin tmp data && cp "$(command -v busybox)" bin/busybox && ln -s busybox bin/sh
    cp "$0" bin/ && for library in $(ldd "$0" 2>/dev/null | grep -o '/[^ ]*\\.so[^ ]*'); do
      mkdir -p ".$(dirname "$library")" && cp -L "$library" ".$library"; done
    tar -c . | docker --host unix:///run/docker.sock import - ${image}`;
  await engine.namespace.run(
    "sh",
    "-c",
    `mkdir -p ${folder} && cd ${folder} && ${script}`,
    program,
  );
}

async function importImage(engine: TestEngine): Promise<void> {
  const script = `
    mkdir -p bin data && cp "$(command -v busybox)" bin/busybox
    for name in ${APPLETS}; do ln -s busybox bin/$name; done
    echo "from the image" > data/image
    tar -c . | docker --host unix:///run/docker.sock import - ${IMAGE}`;
  const folder = join(engine.folder, "image");
  await engine.namespace.run("sh", "-c", `mkdir -p ${folder} && cd ${folder} && ${script}`);
}

/** Builds what the managed plugin is made of, beside what the engine keeps: others may build too. @returns the folder */
export async function buildPlugin(engine: TestEngine): Promise<string> {
  const folder = join(engine.folder, "plugin");
  await run(join(PROJECT, "plugin", "rootfs.sh"), [folder]);
  return folder;
}

/** The state of a volume as `docker volume inspect` shows it. */
export async function volumeStatus(
  engine: TestEngine,
  name: string,
): Promise<Readonly<Record<string, unknown>>> {
  const shown = await engine.docker("volume", "inspect", "--format", "{{json .Status}}", name);
  return JSON.parse(shown) as Record<string, unknown>;
}

/** Waits until nobody uses a volume. */
export async function unused(engine: TestEngine, name: string): Promise<void> {
  await until(`nobody to use ${name}`, async () => {
    return (await volumeStatus(engine, name))["references"] === 0;
  });
}
