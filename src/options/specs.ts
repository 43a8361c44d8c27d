import type { OptionSpec } from "./table.ts";
import {
  parseBandwidth,
  parseBoolean,
  parseChoice,
  parseCount,
  parseDuration,
  parseOwner,
  parseSize,
} from "./values.ts";

/** Makers of options, by the kind of their value. What has no `initial` is absent until it is given. */

type Described<T> = Pick<OptionSpec<T>, "help" | "group"> & Partial<OptionSpec<T>>;
type Optional<T> = OptionSpec<T | undefined>;

export function onOff(spec: Described<boolean>): OptionSpec<boolean> {
  return { initial: false, parse: parseBoolean, ...spec };
}

export function optionalOnOff(spec: Described<boolean | undefined>): Optional<boolean> {
  return { initial: undefined, parse: parseBoolean, ...spec };
}

export function text(spec: Described<string | undefined>): Optional<string> {
  return { initial: undefined, value: "text", parse: (given) => given, ...spec };
}

export function count(
  spec: Described<number> & { initial: number; least?: number },
): OptionSpec<number> {
  const { least, ...rest } = spec;
  const parse = (given: string): number => parseCount(given, least);
  return { value: "n", shown: String(spec.initial), parse, ...rest };
}

export function optionalCount(spec: Described<number | undefined>): Optional<number> {
  return { initial: undefined, value: "n", parse: (given) => parseCount(given), ...spec };
}

/** Bytes; a number without a letter counts in `unit`. */
export function size<T extends number | undefined>(
  spec: Described<number | T> & { initial: T; unit: number },
): OptionSpec<number | T> {
  const { unit, ...rest } = spec;
  return { value: "size", parse: (given: string) => parseSize(given, unit), ...rest };
}

/** Milliseconds. */
export function duration<T extends number | undefined>(
  spec: Described<number | T> & { initial: T },
): OptionSpec<number | T> {
  return { value: "duration", parse: parseDuration, ...spec };
}

/** Mbps. */
export function bandwidth(spec: Described<number | undefined>): Optional<number> {
  return { initial: undefined, value: "Mbps", parse: parseBandwidth, ...spec };
}

/** The first choice is the default, unless `initial` says otherwise. */
export function choice<const Choice extends string>(
  choices: readonly [Choice, ...Choice[]],
  spec: Described<Choice>,
): OptionSpec<Choice> {
  const [initial] = choices;
  return {
    ...{ value: "how", initial, shown: initial, ...spec },
    help: `${spec.help}: ${choices.join(", ")}`,
    parse: (given) => parseChoice(given, choices),
  };
}

export function owner(
  spec: Described<{ uid: number; gid: number } | undefined>,
): Optional<{ uid: number; gid: number }> {
  return { initial: undefined, value: "UID:GID", parse: parseOwner, ...spec };
}

/** Both who makes a volume and who mounts it need it. */
export function rsaPassphrase(group: string): Optional<string> {
  return text({
    ...{ group, secret: true },
    help: "of the encryption key; or JFS_RSA_PASSPHRASE in the environment",
  });
}
