import type { Command, Option } from "commander";
import { parseOption } from "../options/table.ts";
import { parseBoolean } from "../options/values.ts";

/**
 * Arguments as Go programs take them, in commander's words: `-name` is `--name`, a switch may have a value, what comes twice
 * counts as it came last, and what all commands share may come before the command.
 */

type Options = ReadonlyMap<string, Option>;

/** One argument, or an option with its value. */
interface Part {
  readonly option?: Option;
  readonly words: readonly string[];
}

/** @param shared names of options that may come before the command */
export function asCommander(
  args: readonly string[],
  program: Command,
  shared: ReadonlySet<string>,
): string[] {
  if (args.length === 0) return ["--help"];
  const [first] = program.commands;
  const before = first === undefined ? 0 : countShared(args, optionsOf(first), shared);
  const name = args[before];
  const named = (one: string | undefined): Command | undefined =>
    program.commands.find((command) => command.name() === one);
  const command = named(name);
  // What commander says of a command that it cannot help with is all that it knows.
  if (name === "help" && args[before + 1] !== undefined) {
    const [, asked = ""] = args.slice(before);
    return named(asked) === undefined ? [asked] : [asked, "--help"];
  }
  if (command === undefined) return args.slice(before);
  const rest = [...args.slice(0, before), ...args.slice(before + 1)];
  return [command.name(), ...translate(rest, optionsOf(command))];
}

/** How many arguments at the beginning are options that all commands share. */
function countShared(
  args: readonly string[],
  options: Options,
  shared: ReadonlySet<string>,
): number {
  let at = 0;
  for (; at < args.length; at++) {
    const { option, value } = split(args[at] ?? "", options);
    if (option === undefined || !shared.has(option.name())) break;
    if (takesValue(option) && value === undefined) at++;
  }
  return Math.min(at, args.length);
}

function translate(args: readonly string[], options: Options): string[] {
  let parts: Part[] = [];
  for (let at = 0; at < args.length; at++) {
    const word = args[at] ?? "";
    const { option, value } = split(word, options);
    if (word === "--") return [...wordsOf(parts), ...args.slice(at)];
    if (option === undefined) parts.push({ words: [/^--?help$/.test(word) ? "--help" : word] });
    else if (takesValue(option)) {
      const given = value === undefined ? args.slice(at + 1, ++at + 1) : [value];
      parts.push({ option, words: [flagOf(option), ...given] });
    } else {
      const opposite = options.get(oppositeOf(option));
      parts = parts.filter((part) => !isEither(part, option, opposite));
      const on = isOn(option, value) ? option : opposite;
      if (on !== undefined) parts.push({ option: on, words: [flagOf(on)] });
    }
  }
  return wordsOf(parts);
}

function isEither({ option }: Part, one: Option, other: Option | undefined): boolean {
  return option !== undefined && (option === one || option === other);
}

function wordsOf(parts: readonly Part[]): string[] {
  return parts.flatMap(({ words }) => words);
}

function split(word: string, options: Options): { option?: Option | undefined; value?: string } {
  const [, name = "", value] = /^--?([^-=][^=]*)(?:=([^]*))?$/.exec(word) ?? [];
  return { option: options.get(name), ...(value === undefined ? {} : { value }) };
}

/** @throws RangeError naming switch and value */
function isOn(option: Option, value = "true"): boolean {
  return (
    parseOption(flagOf(option), { help: "", initial: false, parse: parseBoolean }, value) === true
  );
}

/** By each of their names, without dashes. */
function optionsOf(command: Command): Options {
  return new Map(
    command.options.flatMap((option) =>
      [option.long, option.short]
        .filter((name) => name !== undefined && name !== null)
        .map((name) => [name.replace(/^-+/, ""), option] as const),
    ),
  );
}

function takesValue(option: Option): boolean {
  return option.required || option.optional;
}

function flagOf(option: Option): string {
  return option.long ?? option.short ?? "";
}

/** `--no-name` is the opposite of `--name`, whichever of them a command has. */
function oppositeOf(option: Option): string {
  const name = option.name();
  return name.startsWith("no-") ? name.slice("no-".length) : `no-${name}`;
}
