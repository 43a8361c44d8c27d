import type { Ino } from "./types.ts";

/** Which inodes this mount has open, and how often: one that is open outlives its last name. */
export class OpenFiles {
  readonly #handles = new Map<Ino, number>();

  opened(ino: Ino): void {
    this.#handles.set(ino, (this.#handles.get(ino) ?? 0) + 1);
  }

  /** @returns true when that was the last handle */
  closed(ino: Ino): boolean {
    const left = (this.#handles.get(ino) ?? 1) - 1;
    if (left > 0) {
      this.#handles.set(ino, left);
      return false;
    }
    return this.#handles.delete(ino);
  }

  has(ino: Ino): boolean {
    return this.#handles.has(ino);
  }

  inodes(): IterableIterator<Ino> {
    return this.#handles.keys();
  }
}
