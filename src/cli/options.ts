import { InvalidArgumentError, Option, type Command } from "commander";
import {
  parseOption,
  type GivenValues,
  type OptionSpec,
  type OptionTable,
} from "../options/table.ts";

/** Tables of options as commander's options, and back. */

/** Adds a table's options to a command, under their headings. */
export function addOptions(command: Command, table: OptionTable): Command {
  for (const [name, spec] of Object.entries(table)) {
    if (spec.group !== undefined) command.optionsGroup(`${spec.group}:`);
    command.addOption(optionOf(name, spec));
    // What is or may be on can be turned off; JuiceFS's own spelling is --name=false.
    if (spec.value === undefined && spec.initial !== false) {
      command.addOption(new Option(`--no-${name}`, `turn ${name} off`));
    }
  }
  return command;
}

function optionOf(name: string, spec: OptionSpec<unknown>): Option {
  const long = name.length === 1 ? `-${name}` : `--${name}`;
  const names = spec.short === undefined ? long : `-${spec.short}, ${long}`;
  const flags = spec.value === undefined ? names : `${names} <${spec.value}>`;
  const option = new Option(
    flags,
    spec.shown === undefined ? spec.help : `${spec.help} (default ${spec.shown})`,
  );
  if (spec.value === undefined) return option;
  return option.argParser((text: string) => {
    try {
      return parseOption(long, spec, text);
    } catch (error) {
      throw error instanceof RangeError ? new InvalidArgumentError(error.message) : error;
    }
  });
}

/** What was given of a table's options. */
export function givenOf<Table extends OptionTable>(
  command: Command,
  table: Table,
): GivenValues<Table> {
  const all: Record<string, unknown> = command.opts();
  const given = Object.keys(table)
    .map((name) => [name, all[camelCase(name)]] as const)
    .filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as GivenValues<Table>;
}

function camelCase(name: string): string {
  return name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

/** `--name=true` and `--name=false`, as Go programs take switches, in commander's words. */
export function withoutGoSwitches(
  args: readonly string[],
  switches: ReadonlySet<string>,
): string[] {
  return args.flatMap((arg) => {
    const [, name = "", value = ""] = /^--([a-z-]+)=(true|false|1|0)$/i.exec(arg) ?? [];
    if (!switches.has(name)) return [arg];
    return /^(true|1)$/i.test(value) ? [`--${name}`] : [`--no-${name}`];
  });
}
