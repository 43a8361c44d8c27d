import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { makeFolder } from "../support/folder.ts";
import { onMinio, startMinio } from "../support/minio.ts";
import { formatTestVolume, juicefs, mountVolume, officialJuicefs } from "../support/mount.ts";
import { startRedis } from "../support/redis.ts";

/** Files of a mount hold what those of a plain folder hold, whatever is done to both, in every configuration. */

const run = promisify(execFile);
const PROGRAM = fileURLToPath(new URL("random-files.py", import.meta.url));
const SEED = Number(process.env["JUICEFS_TEST_SEED"] ?? Date.now() % 1e9);
/** For all configurations together; without it a fixed number of operations is done. */
const SECONDS = Number(process.env["JUICEFS_SOAK_SECONDS"] ?? 0);
const OPERATIONS = SECONDS > 0 ? Number.MAX_SAFE_INTEGER : 400;

const keys = await makeFolder();
const KEY = join(keys.path, "key.pem");
execFileSync("openssl", ["genrsa", "-out", KEY, "2048"], { stdio: "ignore" });
const [server, minio] = await Promise.all([startRedis(), startMinio()]);
after(async () => {
  for (const one of [minio, server, keys]) await one[Symbol.asyncDispose]();
});

interface Configuration {
  readonly name: string;
  /** In a folder rather than on MinIO. */
  readonly file?: boolean;
  readonly format: readonly string[];
  readonly mount: readonly string[];
}

const CONFIGURATIONS: readonly Configuration[] = [
  { name: "as it comes", format: [], mount: [] },
  {
    name: "zstd, encrypted, 256 KiB, write-back",
    format: ["--compress", "zstd", "--encrypt-rsa-key", KEY, "--block-size", "256K"],
    mount: ["--writeback"],
  },
  {
    name: "64 KiB, hashed prefixes, a cache of 1 MiB, write-back",
    format: ["--block-size", "64K", "--hash-prefix"],
    mount: ["--writeback", "--cache-size", "1"],
  },
  {
    name: "lz4, no cache, little memory",
    format: ["--compress", "lz4", "--block-size", "1M"],
    mount: ["--cache-size", "0", "--buffer-size", "32"],
  },
  {
    name: "16 MiB, the kernel writes back, one thread",
    format: ["--block-size", "16M"],
    mount: ["-o", "writeback_cache", "--io-threads", "0"],
  },
  {
    name: "a folder, ChaCha, no trash",
    file: true,
    format: [
      ...["--encrypt-rsa-key", KEY, "--encrypt-algo", "chacha20-rsa", "--block-size", "128K"],
      ...["--trash-days", "0"],
    ],
    mount: ["--cache-partial-only", "--storage-sync=false"],
  },
];

for (const [index, { name, file = false, format, mount: options }] of CONFIGURATIONS.entries()) {
  test(`random operations leave the same in a mount and a plain folder: ${name}`, async (t) => {
    const place = file ? [] : onMinio(minio, `data-${index}`);
    const made = { server, database: index, format: [...place, ...format] };
    await using volume = await formatTestVolume(made);
    const cache = ["--cache-dir", join(volume.folder, "cache"), "--free-space-ratio", "0.01"];
    await using mount = await mountVolume(volume, [...cache, ...options]);
    const [work, trusted] = [join(mount.path, "work"), join(volume.folder, "trusted")];
    for (const folder of [work, trusted]) await mkdir(folder);
    const seconds = SECONDS > 0 ? SECONDS / CONFIGURATIONS.length : 600;
    const how = [SEED + index, OPERATIONS, seconds].map(String);
    const { stdout } = await run("python3", [PROGRAM, work, trusted, ...how]).catch(
      (error: unknown) => assert.fail((error as { stdout: string }).stdout || String(error)),
    );
    t.diagnostic(`seed ${SEED + index}, ${stdout.trim()} operations`);
    await mount.unmount();

    // What another client reads was stored.
    await using again = await mountVolume(volume, ["--cache-size", "0"]);
    await run("diff", ["-r", join(again.path, "work"), trusted]);
    await again.unmount();
    await juicefs("fsck", volume.metaUrl);
    await juicefs("gc", volume.metaUrl, "--delete");
    const fsck = await officialJuicefs("fsck", volume.metaUrl);
    assert.doesNotMatch(fsck.stderr, /<(ERROR|FATAL)>/);
    const gc = await officialJuicefs("gc", volume.metaUrl);
    assert.match(gc.stdout + gc.stderr, / 0 leaked \(0 bytes\)/);
  });
}
