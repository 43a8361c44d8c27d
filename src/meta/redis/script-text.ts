/**
 * What a script is sent as: of the files that it uses, only what it needs. Redis runs the whole text at each call, and making
 * the functions of `lua/prelude.lua` anew for a script that calls a third of them takes longer than most commands of it.
 */

/** A statement of the outermost level, with the names that it declares. */
interface Declaration {
  readonly text: string;
  readonly names: readonly string[];
}

/** `shared`: files of `local` declarations in their order, each with what it needs before it. */
export function scriptText(shared: readonly string[], own: string): string {
  const declarations = shared.flatMap((file) => declarationsOf(file));
  let text = withoutComments(own);
  for (const declaration of declarations.toReversed()) {
    if (declaration.names.some((name) => mentions(text, name)))
      text = `${declaration.text}\n${text}`;
  }
  return text;
}

function declarationsOf(file: string): Declaration[] {
  return withoutComments(file)
    .split(/^(?=local )/m)
    .filter((text) => text.trim() !== "")
    .map((text) => {
      const names = /^local (?:function )?([\w, ]+)/.exec(text)?.[1];
      if (names === undefined) throw new Error(`not a declaration in Lua: ${text}`);
      return { text: text.trimEnd(), names: names.split(",").map((name) => name.trim()) };
    });
}

function withoutComments(text: string): string {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "" && !/^\s*--/.test(line))
    .join("\n");
}

function mentions(text: string, name: string): boolean {
  return new RegExp(`\\b${name}\\b`).test(text);
}
