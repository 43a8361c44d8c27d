import { growingCache } from "../base/growing-cache.ts";
import type { Attr, Ino } from "../meta/types.ts";

const VERSIONS_MAX = 200_000;

/**
 * Which data the kernel may hold pages of, as the attributes tell: mtime and length. Pages have no lifetime: they stay while
 * a file is open, and over its next open where that is said to be of the same data.
 */
export class KnownData {
  readonly #versions = growingCache<Ino, string>(VERSIONS_MAX);
  readonly #isOpen: (ino: Ino) => boolean;
  readonly #inherited: () => boolean;

  /** `inherited`: whether the kernel may hold pages that a process before handed out. */
  constructor(isOpen: (ino: Ino) => boolean, inherited: () => boolean) {
    this.#isOpen = isOpen;
    this.#inherited = inherited;
  }

  /** @returns true when it is other data than the kernel may have pages of */
  saw(ino: Ino, attr: Attr): boolean {
    const version = versionOf(attr);
    const before = this.#versions.get(ino);
    if (before === version) return false;
    // There are no pages, or nobody knows of which data they are: those go with the next open.
    if (before === undefined && (!this.#isOpen(ino) || this.#inherited())) return false;
    this.#versions.set(ino, version);
    return before !== undefined;
  }

  /** True when the kernel was told of just this data before. */
  same(ino: Ino, attr: Attr): boolean {
    const version = versionOf(attr);
    const same = this.#versions.get(ino) === version;
    this.#versions.set(ino, version);
    return same;
  }

  mayHold(ino: Ino): boolean {
    return this.#versions.has(ino) || this.#isOpen(ino);
  }

  /** Somebody changed it. @returns true when the kernel may hold pages of it */
  doubt(ino: Ino): boolean {
    const held = this.mayHold(ino);
    this.#versions.delete(ino);
    return held;
  }

  held(): IterableIterator<Ino> {
    return this.#versions.keys();
  }
}

function versionOf({ mtime, length }: Attr): string {
  return `${mtime.sec}.${mtime.nsec}.${length}`;
}
