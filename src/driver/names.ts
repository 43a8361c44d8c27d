/**
 * Names that the engine passes on: it checks none of them, and `../x` joined to a folder would be a way out of it as root.
 * What this lets through is one path component, never `.` or `..`.
 */

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/** @throws RangeError */
export function requireName(name: string): void {
  if (NAME.test(name)) return;
  const shown = name.length > 140 ? `${name.slice(0, 140)}...` : name;
  throw new RangeError(
    `Cannot name a volume ${JSON.stringify(shown)}: expected up to 128 letters, digits, dots, dashes and underscores, beginning with a letter or digit`,
  );
}

/** True of what the engine calls a volume that nobody gave a name. */
export function isMadeUp(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

/** The candidate that `word` was probably meant to be. */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Math.min(3, Math.ceil(word.length / 2));
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate);
    if (distance <= least && (best === undefined || distance < least)) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}

/** Letters to add, remove or replace between two words. */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const replaced = (previous[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1);
      const removed = (previous[column] ?? 0) + 1;
      const added = (current[column - 1] ?? 0) + 1;
      current.push(Math.min(replaced, removed, added));
    }
    previous = current;
  }
  return previous.at(-1) ?? 0;
}
