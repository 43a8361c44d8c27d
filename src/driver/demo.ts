import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { useCompileCache } from "../base/compile-cache.ts";

/**
 * `make run`: the driver on what it has of its own, shown at work, then serving until Ctrl-C. The work is shown through a
 * container where a Docker engine runs, else through the calls that an engine would make.
 */

useCompileCache();
// What goes wrong is told; the rest is told here, for people.
process.env["JUICEFS_LOG_LEVEL"] ??= "warn";
const { Driver } = await import("./driver.ts");
const { serve } = await import("./server.ts");
const { readSettings } = await import("./settings.ts");

const run = promisify(execFile);
const VOLUME = "demo";
const IMAGE = "juicefs-demo:latest";
const HELLO = "a file in Redis and blocks";
const CONTAINER_ID = "shown-by-make-run";

function say(line = ""): void {
  process.stdout.write(`${line}\n`);
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new Error(`Cannot mount as user ${process.getuid?.()}: run as root`);
}

/** Runs a command and shows it as a person would type it. */
async function shown(command: string, ...args: readonly string[]): Promise<string> {
  say(`  $ ${[command, ...args.map((arg) => (/[\s>]/.test(arg) ? `'${arg}'` : arg))].join(" ")}`);
  const { stdout } = await run(command, args);
  for (const line of stdout.split("\n").filter((one) => one !== "")) say(`    ${line}`);
  return stdout;
}

/** The image for the container: busybox if there is one, else one made of this machine's own. */
async function findImage(): Promise<string | undefined> {
  const there = await run("docker", ["image", "inspect", "busybox"]).catch(() => undefined);
  if (there !== undefined) return "busybox";
  const folder = await mkdtemp(join(tmpdir(), "juicefs-demo-"));
  try {
    const script = `mkdir bin && cp "$(command -v busybox)" bin/busybox && ln -s busybox bin/sh && tar -c .`;
    const archive = spawn("sh", ["-c", script], {
      ...{ cwd: folder, stdio: ["ignore", "pipe", "ignore"] },
    });
    const load = spawn("docker", ["import", "-", IMAGE], {
      stdio: [archive.stdout, "ignore", "ignore"],
    });
    const code = await new Promise((resolve) => load.once("close", resolve));
    // A busybox with shared libraries does not start alone.
    const works = code === 0 && (await starts(IMAGE));
    if (works) return IMAGE;
    await run("docker", ["pull", "--quiet", "busybox"], { timeout: 60_000 });
    return "busybox";
  } catch {
    return undefined;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function starts(image: string): Promise<boolean> {
  const args = ["run", "--rm", "--network", "none", image, "sh", "-c", "exit 0"];
  return run("docker", args).then(
    () => true,
    () => false,
  );
}

async function throughContainer(image: string): Promise<void> {
  const container = (...command: string[]): Promise<string> =>
    shown("docker", "run", "--rm", "--network", "none", "-v", `${VOLUME}:/data`, image, ...command);
  await shown("docker", "volume", "create", "-d", "juicefs", VOLUME);
  await container("sh", "-c", `echo ${HELLO} > /data/hello`);
  const read = await container("sh", "-c", "cat /data/hello");
  if (read.trim() !== HELLO) throw new Error(`The container read ${JSON.stringify(read)}`);
}

/** One call as dockerd makes it. @throws Error what was refused */
async function call(socketPath: string, method: string, body: unknown): Promise<string> {
  const asked = request({ socketPath, method: "POST", path: `/VolumeDriver.${method}` });
  const answered = Promise.withResolvers<string>();
  asked.once("response", (response) => {
    text(response).then(answered.resolve, answered.reject);
  });
  asked.once("error", answered.reject);
  asked.end(`${JSON.stringify(body)}\n`);
  const answer = JSON.parse(await answered.promise) as { Err: string; Mountpoint?: string };
  if (answer.Err !== "") throw new Error(answer.Err);
  return answer.Mountpoint ?? "";
}

async function throughCalls(socket: string): Promise<void> {
  say("  no Docker engine runs here: these are the calls that one makes for");
  say(`  docker run -v ${VOLUME}:/data ... 'echo ${HELLO} > /data/hello; cat /data/hello'`);
  const use = { Name: VOLUME, ID: CONTAINER_ID };
  const step = async (method: string, body: unknown): Promise<string> => {
    const answer = await call(socket, method, body);
    say(`  POST /VolumeDriver.${method} ${JSON.stringify(body)}${answer && ` -> ${answer}`}`);
    return answer;
  };
  await step("Create", { Name: VOLUME, Opts: null });
  const path = join(await step("Mount", use), "hello");
  await writeFile(path, `${HELLO}\n`);
  say(`  wrote ${path}`);
  const read = await readFile(path, "utf8");
  say(`  read  ${read.trim()}`);
  await step("Unmount", use);
  if (read.trim() !== HELLO) throw new Error(`The file holds ${JSON.stringify(read)}`);
}

function sayWhatNext(image: string | undefined, state: string): void {
  say();
  say("It works, and serves until Ctrl-C. In another terminal:");
  say();
  const docker = image === undefined ? " (with a Docker engine)" : "";
  say(`  docker volume create -d juicefs notes${docker}`);
  say(
    `  docker run --rm -v notes:/data ${image ?? "busybox"} sh -c 'echo hi > /data/a; ls -l /data'`,
  );
  say("  docker volume inspect notes");
  say();
  say(`Volumes stay in ${state} and are there at the next start. On Redis and S3 of your own,`);
  say("as a service, as a managed plugin: docs/docker.md");
}

/** Ends with everything unmounted; what containers use stays, and the next driver takes it over. */
async function end(driver: InstanceType<typeof Driver>): Promise<void> {
  const used = driver.usedVolumes();
  say();
  if (used.length > 0) {
    driver.leave();
    say(
      `Containers use ${used.join(", ")}: these stay mounted, and the next start takes them over.`,
    );
    return;
  }
  await driver.close();
  say("Everything is unmounted.");
}

async function main(): Promise<void> {
  requireRoot();
  const settings = readSettings(process.env, { managed: false });
  const { socket, state } = settings;
  if (socket === undefined) throw new Error("Cannot show the driver from a systemd socket");
  const driver = new Driver(settings);
  const { server } = await serve(driver, { socket });
  const stop = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.resolve());
  say(`The volume driver listens on ${socket}; what it keeps is in ${state}.`);
  say();
  try {
    await driver.restore();
    const engine = await run("docker", ["version"], { timeout: 10_000 }).catch(() => undefined);
    const image = engine === undefined ? undefined : await findImage();
    if (image === undefined) await throughCalls(socket);
    else await throughContainer(image);
    sayWhatNext(image, state);
    await stop.promise;
  } finally {
    await end(driver);
    server.close();
    server.closeAllConnections();
    await rm(socket, { force: true });
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`make run: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
