/** A variable of the environment; one that is empty counts as not given, as in files of settings with nothing behind the `=`. */
export function variable(
  name: string,
  environment: NodeJS.ProcessEnv = process.env,
): string | undefined {
  const value = environment[name];
  return value === "" ? undefined : value;
}
