import { Random } from "../../support/random.ts";

/**
 * What an application does that wants to find its files again after a power loss. The steps follow from the seed alone: who
 * knows how many were begun and acknowledged knows what must be there.
 */

/** How bytes are asked to be stored; "later": they are not yet. */
export type Sync = "fsync" | "fdatasync" | "close" | "later";

export type Step =
  | { readonly kind: "mkdir"; readonly path: string }
  /** Opens, writes, syncs, closes. */
  | {
      readonly kind: "write";
      readonly path: string;
      readonly offset: number;
      readonly data: Buffer;
      readonly sync: Exclude<Sync, "later">;
    }
  /** Through a descriptor that stays open; "close": one opened with O_DSYNC. */
  | {
      readonly kind: "hold";
      readonly path: string;
      readonly offset: number;
      readonly data: Buffer;
      readonly sync: Sync;
    }
  /** Writes `temporary`, syncs it, renames it to `path`, and syncs the folder, as databases do. */
  | {
      readonly kind: "replace";
      readonly path: string;
      readonly temporary: string;
      readonly data: Buffer;
    }
  | { readonly kind: "move"; readonly path: string; readonly to: string }
  | { readonly kind: "truncate"; readonly path: string; readonly size: number }
  | { readonly kind: "remove"; readonly path: string };

const FOLDERS = 3;
const FILES_LEAST = 5;
const RECORD_MAX = 3000;
const PAGE_MAX = 16_384;
const PAGES_BYTES = 400_000;
const SMALL_MAX = 20_000;
const LARGE_MAX = 400_000;

export function* stepsOf(seed: number): Generator<Step, never> {
  for (let index = 0; index < FOLDERS; index++) yield { kind: "mkdir", path: `d${index}` };
  const application = new Application(new Random(seed));
  for (;;) yield application.next();
}

class Application {
  readonly #random: Random;
  readonly #files: string[] = [];
  #names = 0;
  /** How long the files are that are only appended to. */
  readonly #lengths = { log: 0, dated: 0 };
  /** Each as often as it is likely. */
  readonly #ways: readonly (() => Step)[];

  constructor(random: Random) {
    this.#random = random;
    const often = (way: () => Step, times: number): (() => Step)[] =>
      Array.from({ length: times }, () => way);
    this.#ways = [
      ...often(() => this.#make(), 6),
      ...often(() => this.#overwrite(), 2),
      ...often(() => this.#replace(), 3),
      ...often(() => this.#move(), 2),
      ...often(() => this.#truncate(), 1),
      ...often(() => this.#remove(), 1),
      ...often(() => this.#append("log", this.#syncOrLater()), 2),
      ...often(() => this.#append("dated", "close"), 1),
      ...often(() => this.#writePage(), 4),
    ];
  }

  next(): Step {
    return this.#files.length < FILES_LEAST ? this.#make() : this.#oneOf(this.#ways)();
  }

  #make(): Step {
    const path = this.#newName();
    this.#files.push(path);
    const data = this.#bytes(this.#random.below(6) === 0 ? LARGE_MAX : SMALL_MAX);
    return { kind: "write", path, offset: 0, data, sync: this.#oneOf(["fsync", "close"]) };
  }

  #overwrite(): Step {
    const path = this.#oneOf(this.#files);
    const [offset, data] = [this.#random.below(SMALL_MAX), this.#bytes(SMALL_MAX)];
    return { kind: "write", path, offset, data, sync: this.#oneOf(["fdatasync", "close"]) };
  }

  #replace(): Step {
    const path = this.#oneOf(this.#files);
    return { kind: "replace", path, temporary: `${path}.new`, data: this.#bytes(SMALL_MAX) };
  }

  #move(): Step {
    const at = this.#random.below(this.#files.length);
    const [path = "", to] = [this.#files[at], this.#newName()];
    this.#files[at] = to;
    return { kind: "move", path, to };
  }

  #truncate(): Step {
    const path = this.#oneOf(this.#files);
    return { kind: "truncate", path, size: this.#random.below(SMALL_MAX) };
  }

  #remove(): Step {
    const [path = ""] = this.#files.splice(this.#random.below(this.#files.length), 1);
    return { kind: "remove", path };
  }

  #append(path: "log" | "dated", sync: Sync): Step {
    const [offset, data] = [this.#lengths[path], this.#bytes(RECORD_MAX)];
    this.#lengths[path] += data.length;
    return { kind: "hold", path, offset, data, sync };
  }

  #writePage(): Step {
    const [offset, data] = [this.#random.below(PAGES_BYTES), this.#bytes(PAGE_MAX)];
    return { kind: "hold", path: "pages", offset, data, sync: this.#syncOrLater() };
  }

  #bytes(most: number): Buffer {
    return Buffer.alloc(this.#random.size(most), this.#random.bytes(61));
  }

  #newName(): string {
    return `d${this.#random.below(FOLDERS)}/f${this.#names++}`;
  }

  #syncOrLater(): Sync {
    return this.#oneOf(["later", "fsync", "fdatasync"]);
  }

  #oneOf<T>(values: readonly T[]): T {
    return values[this.#random.below(values.length)] as T;
  }
}
