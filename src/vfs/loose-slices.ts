import type { BlockStore } from "../chunk/block-store.ts";
import type { DirtyJournal, LooseSlice } from "./dirty-journal.ts";

/**
 * Slices whose objects may come to belong to nobody: a compaction that is under way, what could not be committed. They are
 * noted down, so that a process that takes over deletes what this one leaves.
 */
export class LooseSlices {
  readonly #store: BlockStore;
  readonly #journal: DirtyJournal | undefined;
  readonly #deleting = new Set<Promise<void>>();

  /** Without a journal nobody takes over: gc finds what is left. */
  constructor(store: BlockStore, journal?: DirtyJournal) {
    this.#store = store;
    this.#journal = journal;
  }

  /** Objects are about to be stored that no record refers to. */
  begin(slice: LooseSlice): void {
    this.#journal?.loose(slice);
  }

  /** A record refers to them. */
  fixed(id: bigint): void {
    this.#journal?.fixed(id);
  }

  /** Deletes objects that nothing refers to. */
  discard({ id, size }: { readonly id: bigint; readonly size: number }): void {
    this.#journal?.loose({ id, size });
    const deleting = this.#store.deleteSlice(id, size).then(
      () => {
        this.fixed(id);
      },
      () => undefined,
    );
    this.#deleting.add(deleting);
    void deleting.then(() => this.#deleting.delete(deleting));
  }

  /** Settles when nothing is being deleted. */
  async idle(): Promise<void> {
    await Promise.all(this.#deleting);
  }
}
