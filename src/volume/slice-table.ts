/**
 * What is known of many slices, in some 20 bytes each: a hash table over the ids, open, linear. Ids are below 2^53 and never
 * 0; an id has one size.
 */

/** Why a slice's objects are needed, the strongest reason first. */
export const SLICE_USES = ["valid", "compacted", "pending", "counted"] as const;
export type SliceUse = (typeof SLICE_USES)[number];

const FULL = 0.7;
const MARKS_MAX = 2 ** 32 - 1;

export class SliceTable {
  #ids = new Float64Array(1 << 10);
  #sizes = new Uint32Array(1 << 10);
  #uses = new Uint8Array(1 << 10);
  #marks = new Uint32Array(1 << 10);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Adds a slice, or a stronger reason for one. @returns false where it is known with another size */
  add(id: bigint, size: number, use: SliceUse): boolean {
    if (this.#count >= this.#ids.length * FULL) this.#grow();
    const at = this.#find(Number(id));
    const rank = SLICE_USES.indexOf(use);
    if (this.#ids[at] === 0) {
      this.#count++;
      this.#ids[at] = Number(id);
      this.#sizes[at] = size;
      this.#uses[at] = rank;
      return true;
    }
    if (rank < (this.#uses[at] ?? 0)) this.#uses[at] = rank;
    return this.#sizes[at] === size;
  }

  get(id: number): { readonly size: number; readonly use: SliceUse } | undefined {
    const at = this.#find(id);
    if (this.#ids[at] === 0) return undefined;
    return { size: this.#sizes[at] ?? 0, use: SLICE_USES[this.#uses[at] ?? 0] ?? "valid" };
  }

  /** Counts something about a slice that is known, up to 2^32 - 1. */
  mark(id: number, by = 1): void {
    const at = this.#find(id);
    this.#marks[at] = Math.min((this.#marks[at] ?? 0) + by, MARKS_MAX);
  }

  marks(id: number): number {
    return this.#marks[this.#find(id)] ?? 0;
  }

  *entries(): Generator<{ id: number; size: number; use: SliceUse; marks: number }> {
    for (const [at, id] of this.#ids.entries()) {
      if (id === 0) continue;
      const use = SLICE_USES[this.#uses[at] ?? 0] ?? "valid";
      yield { id, size: this.#sizes[at] ?? 0, use, marks: this.#marks[at] ?? 0 };
    }
  }

  /** Where an id is, or where it belongs. */
  #find(id: number): number {
    const mask = this.#ids.length - 1;
    // Ids follow one another: a multiplication spreads them, with the half that is beyond 32 bits mixed in.
    let at = Math.imul((id % 2 ** 32) ^ Math.floor(id / 2 ** 32), 0x9e3779b1) >>> 0;
    for (at &= mask; this.#ids[at] !== 0 && this.#ids[at] !== id; at = (at + 1) & mask);
    return at;
  }

  #grow(): void {
    const [ids, sizes, uses, marks] = [this.#ids, this.#sizes, this.#uses, this.#marks];
    this.#ids = new Float64Array(ids.length * 2);
    this.#sizes = new Uint32Array(ids.length * 2);
    this.#uses = new Uint8Array(ids.length * 2);
    this.#marks = new Uint32Array(ids.length * 2);
    for (const [from, id] of ids.entries()) {
      if (id === 0) continue;
      const at = this.#find(id);
      this.#ids[at] = id;
      this.#sizes[at] = sizes[from] ?? 0;
      this.#uses[at] = uses[from] ?? 0;
      this.#marks[at] = marks[from] ?? 0;
    }
  }
}
