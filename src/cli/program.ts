import { Command, CommanderError, type OutputConfiguration } from "commander";
import { log } from "../base/log.ts";
import { VERSION } from "../base/version.ts";
import { compactCommand } from "./commands/compact.ts";
import { configCommand } from "./commands/config.ts";
import { destroyCommand } from "./commands/destroy.ts";
import { formatCommand } from "./commands/format.ts";
import { fsckCommand } from "./commands/fsck.ts";
import { gcCommand } from "./commands/gc.ts";
import { infoCommand } from "./commands/info.ts";
import { mountCommand } from "./commands/mount.ts";
import { objbenchCommand } from "./commands/objbench.ts";
import { rmrCommand } from "./commands/rmr.ts";
import { statusCommand } from "./commands/status.ts";
import { summaryCommand } from "./commands/summary.ts";
import { umountCommand } from "./commands/umount.ts";
import { versionCommand } from "./commands/version.ts";
import { warmupCommand } from "./commands/warmup.ts";
import { asCommander } from "./arguments.ts";

/** The command line: its commands as JuiceFS groups them, and what all of them share. */

/** The heading of what every command takes. */
export const GLOBAL_GROUP = "GLOBAL";
const LEVELS = ["verbose", "debug", "trace", "quiet"] as const;
/** What may come before the command, too. */
export const SHARED: ReadonlySet<string> = new Set([
  ...LEVELS,
  "no-agent",
  "no-color",
  "log-id",
  "pyroscope",
]);

/** @throws Error in one sentence */
export async function runProgram(args: readonly string[]): Promise<void> {
  const program = makeProgram();
  try {
    await program.parseAsync(asCommander(args, program, SHARED), { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw new Error(sentence(error, program), { cause: error });
  }
}

/** All commands, each under the heading that help lists it. */
export function makeProgram(): Command {
  const program = new Command("juicefs")
    .description("A POSIX file system on Redis and object storage")
    .version(VERSION, "-V, --version")
    .helpCommand("help [command]", "show what a command takes")
    .configureHelp({ showGlobalOptions: false })
    .exitOverride()
    .configureOutput(QUIET);
  const groups: Readonly<Record<string, readonly Command[]>> = {
    "ADMIN:": [formatCommand(), configCommand(), destroyCommand(), gcCommand(), fsckCommand()],
    "INSPECTOR:": [statusCommand(), infoCommand(), summaryCommand()],
    "SERVICE:": [mountCommand(), umountCommand()],
    "TOOL:": [warmupCommand(), compactCommand(), rmrCommand(), objbenchCommand(), versionCommand()],
  };
  for (const [heading, commands] of Object.entries(groups)) {
    program.commandsGroup(heading);
    for (const command of commands) program.addCommand(shared(command));
  }
  for (const command of program.commands) command.hook("preAction", () => setLevel(command));
  return program;
}

/** What goes wrong is told once, by `main.ts`. */
const QUIET: OutputConfiguration = { outputError: () => undefined };

function shared(command: Command): Command {
  return command
    .exitOverride((error) => {
      throw error.exitCode === 0 ? error : new Error(sentence(error, command), { cause: error });
    })
    .configureOutput(QUIET)
    .optionsGroup(`${GLOBAL_GROUP}:`)
    .option("-v, --verbose", "say more")
    .option("--debug", "say more")
    .option("--trace", "say everything")
    .option("-q, --quiet", "say what is wrong only")
    .option("--no-agent", "accepted; there is no agent here")
    .option("--no-color", "accepted; colours are for terminals only")
    .option("--log-id <text>", "accepted; it means nothing here")
    .option("--pyroscope <address>", "accepted; nothing is reported to anybody");
}

function setLevel(command: Command): void {
  const options: Record<string, unknown> = command.opts();
  const level = LEVELS.find((name) => options[name] === true);
  if (level === "quiet") log.level = "error";
  else if (level !== undefined) log.level = level === "trace" ? "trace" : "debug";
}

/** What was wrong, without a value that may be a secret, and where to look. */
function sentence(error: CommanderError, command: Command): string {
  const path = command.parent === null ? "juicefs" : `juicefs ${command.name()}`;
  if (error.code === "commander.excessArguments") {
    const taken = command.registeredArguments.map((one) => one.name());
    const extra = command.args[taken.length] ?? "";
    const only = taken.length === 0 ? "no arguments" : `${taken.join(" and ")} only`;
    return `Cannot use "${extra}": ${path} takes ${only}`;
  }
  const text = error.message.replace(/^error: /, "").replaceAll("\n", " ");
  const wrongValue = /argument '.*' is invalid\. (.*)$/.exec(text);
  if (wrongValue?.[1] !== undefined) return wrongValue[1];
  return `${text.replace(/^(unknown option '[^'=]*)=[^]*'/, "$1'")}; ${path} --help lists what there is`;
}
