import { log } from "../base/log.ts";
import type { BlockStore } from "../chunk/block-store.ts";
import type { Meta } from "../meta/meta.ts";
import type { DirtyJournal, LooseSlice } from "./dirty-journal.ts";

/**
 * Slices whose objects may come to belong to nobody: a compaction that is under way, what could not be committed. They are
 * noted down, so that a process that takes over deletes what this one leaves; what the store does not delete, so that any
 * client of the volume does later.
 */
export class LooseSlices {
  readonly #store: BlockStore;
  readonly #abandon: Meta["abandonSlice"];
  readonly #journal: DirtyJournal | undefined;
  readonly #deleting = new Set<Promise<void>>();

  /** Without a journal nobody takes over: gc finds what is left. */
  constructor(store: BlockStore, meta: Pick<Meta, "abandonSlice">, journal?: DirtyJournal) {
    this.#store = store;
    this.#abandon = (id, size) => meta.abandonSlice(id, size);
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
    const deleting = this.#delete(id, size).then(
      () => {
        this.fixed(id);
      },
      (error: unknown) => {
        log.warn({ error, id: id.toString() }, "a slice nobody refers to stays until gc finds it");
      },
    );
    this.#deleting.add(deleting);
    void deleting.then(() => this.#deleting.delete(deleting));
  }

  async #delete(id: bigint, size: number): Promise<void> {
    try {
      await this.#store.deleteSlice(id, size);
    } catch {
      await this.#abandon(id, size);
    }
  }

  /** Settles when nothing is being deleted. */
  async idle(): Promise<void> {
    await Promise.all(this.#deleting);
  }
}
