/**
 * With which number each name of a long listing was told, in sixteen bytes a name: a listing of millions must not be held as
 * a whole. A name is known by the 96 bits that it is hashed to.
 */

/** Three hashes and the number, which is 0 in a free slot. */
const FIELDS = 4;
const SMALLEST = 1 << 12;

export class ToldNames {
  #slots = new Uint32Array(SMALLEST * FIELDS);
  #count = 0;
  /** Of the name at hand, of 32 bits each, which have nothing to do with each other. */
  #first = 0;
  #second = 0;
  #third = 0;

  /**
   * Notes that a name is told with `number`, 1 or more, unless it was told before.
   *
   * @returns the number that it was told with
   */
  tell(name: Uint8Array, number: number): number {
    this.#hash(name);
    const slot = this.#find();
    const before = this.#slots[slot + 3] ?? 0;
    if (before !== 0) return before;
    this.#put(slot, number);
    this.#count++;
    if (this.#count * 4 > (this.#slots.length / FIELDS) * 3) this.#grow();
    return number;
  }

  /** The number that a name was told with, 0 where it was not. */
  numberOf(name: Uint8Array): number {
    this.#hash(name);
    return this.#slots[this.#find() + 3] ?? 0;
  }

  clear(): void {
    if (this.#count === 0) return;
    this.#slots = new Uint32Array(SMALLEST * FIELDS);
    this.#count = 0;
  }

  /** Where the name stands, or the free slot that it is to be put in. */
  #find(): number {
    const slots = this.#slots;
    const mask = slots.length / FIELDS - 1;
    for (let at = this.#first & mask; ; at = (at + 1) & mask) {
      const slot = at * FIELDS;
      if (slots[slot + 3] === 0) return slot;
      const same =
        slots[slot] === this.#first &&
        slots[slot + 1] === this.#second &&
        slots[slot + 2] === this.#third;
      if (same) return slot;
    }
  }

  #put(slot: number, number: number): void {
    const slots = this.#slots;
    slots[slot] = this.#first;
    slots[slot + 1] = this.#second;
    slots[slot + 2] = this.#third;
    slots[slot + 3] = number;
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(before.length * 2);
    for (let slot = 0; slot < before.length; slot += FIELDS) {
      const number = before[slot + 3] ?? 0;
      if (number === 0) continue;
      this.#first = before[slot] ?? 0;
      this.#second = before[slot + 1] ?? 0;
      this.#third = before[slot + 2] ?? 0;
      this.#put(this.#find(), number);
    }
  }

  #hash(name: Uint8Array): void {
    let first = 0x811c_9dc5;
    let second = 0x2545_f491;
    let third = 0x9e37_79b1;
    for (const byte of name) {
      first = Math.imul(first ^ byte, 0x0100_0193);
      second = Math.imul((second + byte) ^ (second >>> 15), 0x85eb_ca6b);
      third = Math.imul((third ^ (third >>> 13)) + byte, 0xc2b2_ae35);
    }
    this.#first = mixed(first);
    this.#second = mixed(second);
    this.#third = mixed(third);
  }
}

function mixed(hash: number): number {
  const value = Math.imul(hash ^ (hash >>> 16), 0x7feb_352d);
  return (value ^ (value >>> 15)) >>> 0;
}
