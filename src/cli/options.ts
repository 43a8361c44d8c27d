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
  const names =
    spec.short === undefined
      ? long
      : `${spec.short.length === 1 ? "-" : "--"}${spec.short}, ${long}`;
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
    .map((name) => [name, valueOf(name, all)] as const)
    .filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as GivenValues<Table>;
}

/** Commander takes `--no-name` for the opposite of `name`, also where that is the option's own name. */
function valueOf(name: string, all: Readonly<Record<string, unknown>>): unknown {
  if (!name.startsWith("no-")) return all[camelCase(name)];
  return all[camelCase(name.slice("no-".length))] === false ? true : undefined;
}

function camelCase(name: string): string {
  return name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
