/**
 * Options as data: name, value, default, help. One table serves the command line, the volume options of the driver and the
 * checks of both.
 */
export interface OptionSpec<T> {
  readonly help: string;
  /** What stands for the value in help texts; absent for a switch. */
  readonly value?: string;
  /** As it is printed in help texts. */
  readonly shown?: string | undefined;
  readonly initial: T;
  /** @throws RangeError saying what is expected */
  readonly parse: (text: string) => T;
  /** Another name of it: a letter, or more of them. */
  readonly short?: string;
  /** Under which heading help lists it. */
  readonly group?: string;
  readonly secret?: boolean;
}

export type OptionTable = Readonly<Record<string, OptionSpec<unknown>>>;

/** The values of a table, under the options' own names. */
export type OptionValues<Table extends OptionTable> = {
  readonly [Name in keyof Table]: Table[Name] extends OptionSpec<infer T> ? T : never;
};

/** What was given, and only that. */
export type GivenValues<Table extends OptionTable> = Partial<OptionValues<Table>>;

/** @throws RangeError naming option and value */
export function parseOption(name: string, spec: OptionSpec<unknown>, text: string): unknown {
  try {
    return spec.parse(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const shown = spec.secret === true ? "" : ` ${JSON.stringify(text)}`;
    throw new RangeError(`Cannot use ${name}${shown}: ${error.message}`, { cause: error });
  }
}

/** Every option's value: what was given, else its default. */
export function withDefaults<Table extends OptionTable>(
  table: Table,
  given: GivenValues<Table>,
): OptionValues<Table> {
  const entries = Object.entries(table).map(([name, spec]) => [name, given[name] ?? spec.initial]);
  return Object.fromEntries(entries) as OptionValues<Table>;
}
