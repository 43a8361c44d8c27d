import type { Ino } from "./types.ts";

/** Which inodes this mount has open, and how often: one that is open outlives its last name. */
export class OpenFiles {
  readonly #handles = new Map<Ino, number>();
  readonly #onOpened: (ino: Ino) => void;

  /** `onOpened` is told the first handle of each inode. */
  constructor(onOpened: (ino: Ino) => void = () => undefined) {
    this.#onOpened = onOpened;
  }

  opened(ino: Ino): void {
    const handles = this.#handles.get(ino) ?? 0;
    this.#handles.set(ino, handles + 1);
    if (handles === 0) this.#onOpened(ino);
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
