import { readFile } from "node:fs/promises";
import { Command } from "commander";
import { log } from "../../base/log.ts";
import { locate } from "../../mount/locate.ts";
import { count, onOff, text } from "../../options/specs.ts";
import { withDefaults } from "../../options/table.ts";
import type { WarmupSum } from "../../volume/warmup.ts";
import { printJson, runJob } from "../job.ts";
import { addOptions, givenOf } from "../options.ts";

const table = {
  file: text({ short: "f", value: "file", help: "a path in each line, beside those given" }),
  threads: count({ short: "p", initial: 50, least: 1, help: "blocks at once" }),
  background: onOff({ short: "b", help: "return at once; the mount goes on and logs the end" }),
  evict: onOff({ help: "remove their blocks from the disks instead" }),
  check: onOff({ help: "count what lies on the disks, and change nothing" }),
};

/** Paths in one request to a mount. */
const PATHS_AT_ONCE = 10_000;

export function warmupCommand(): Command {
  const command = new Command("warmup")
    .summary("bring blocks of files to disks of this machine before they are read")
    .argument("[PATH...]", "files or folders of mounted volumes");
  return addOptions(command, table).action(async (given: string[]) => {
    const { runOnMount } = await import("../../mount/jobs.ts");
    const { file, threads, background, evict, check } = withDefaults(
      table,
      givenOf(command, table),
    );
    if (evict && check) throw new Error("Cannot use --evict with --check: choose one of them");
    const paths = [...given, ...(file === undefined ? [] : await pathsIn(file))];
    if (paths.length === 0) throw new Error("Nothing to warm up: give a path, or --file");
    const action = evict ? "evict" : check ? "check" : "warm";
    let sum: WarmupSum | undefined;
    for (const { mountpoint, inos } of byMount(paths)) {
      const job = { job: "warmup", inos, action, threads, background } as const;
      const done = await runJob((followed) => runOnMount(mountpoint, job, followed));
      if (done === null) log.info({ mountpoint, paths: inos.length }, "the mount goes on");
      else sum = added(sum, done);
    }
    if (sum === undefined) return;
    printJson(sum);
    if (sum.failed > 0) throw new Error(`${sum.failed} blocks could not be brought here`);
  });
}

async function pathsIn(file: string): Promise<string[]> {
  try {
    return (await readFile(file, "utf8")).split(/\r?\n/).filter((line) => line !== "");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`Cannot read the paths in "${file}": ${code}`, { cause: error });
  }
}

/** What each mount is asked for; a symbolic link means what it points to. */
function byMount(paths: readonly string[]): { mountpoint: string; inos: string[] }[] {
  const requests: { mountpoint: string; inos: string[] }[] = [];
  for (const path of paths) {
    const { mountpoint, ino } = locate(path, { follow: true });
    const request = requests.findLast((one) => one.mountpoint === mountpoint);
    if (request !== undefined && request.inos.length < PATHS_AT_ONCE) request.inos.push(ino);
    else requests.push({ mountpoint, inos: [ino] });
  }
  return requests;
}

function added(sum: WarmupSum | undefined, more: WarmupSum): WarmupSum {
  if (sum === undefined) return more;
  return {
    files: sum.files + more.files,
    blocks: sum.blocks + more.blocks,
    bytes: sum.bytes + more.bytes,
    cachedBlocks: sum.cachedBlocks + more.cachedBlocks,
    cachedBytes: sum.cachedBytes + more.cachedBytes,
    failed: sum.failed + more.failed,
  };
}
