import type { Notice } from "../meta.ts";
import type { Ino } from "../types.ts";
import type { Message } from "./notice.ts";

/**
 * Changes that nobody announced: of official clients, and of tools that have no session. The server tells the names of all
 * keys that change; those that a notice just told of are explained. A notice is sent while its script runs, the names at the
 * end of the server's turn, on the same connection: so what explains a name was heard before it.
 */

/** Who else uses a volume's server. */
export interface Neighbours {
  /** Somebody has the volume mounted who announces nothing. */
  readonly silent: boolean;
  /** Other databases hold something. The server tells of their keys too, and nobody can tell them from the volume's. */
  readonly crowded: boolean;
}

/** Beginnings of names; of directories the first digit, for other keys begin with d too. */
const SESSIONS = ["sessionInfos", "setting"];
const INODES = ["i", "c", "x", ...Array.from({ length: 9 }, (_, digit) => `d${digit + 1}`)];
/** Only official clients change locks without a word. */
const LOCKS = ["lockf", "lockp"];

/** With what the names of keys begin that the server is asked to tell. A tool without a session is heard of where that costs little. */
export function watched({ silent, crowded }: Neighbours): readonly string[] {
  if (silent) return [...SESSIONS, ...INODES, ...LOCKS];
  return crowded ? SESSIONS : [...SESSIONS, ...INODES];
}

/** What names of changed keys tell. */
export interface KeyChanges {
  /** Undefined where everything was explained. */
  readonly notice: Notice | undefined;
  /** Inodes whose locks changed. */
  readonly locks: readonly Ino[];
  /** Sessions, or the volume's settings, changed. */
  readonly sessions: boolean;
}

export class Unexplained {
  /** By the beginning that the server tells them with; the rest of the key, up to an underscore. */
  readonly #explained = new Map<string, Set<string>>();
  /** False where the server tells nothing that a notice could explain. */
  readonly needed: boolean;

  /** `beginnings`: of the names that the server tells. */
  constructor(beginnings: readonly string[]) {
    this.needed = beginnings.includes("i");
  }

  /** What a notice told of, our own too. */
  explain({ notice, made }: Message): void {
    if (!this.needed) return;
    for (const ino of notice.attrs) this.#add("i", ino);
    for (const ino of made) this.#add("i", ino);
    for (const ino of notice.data) {
      this.#add("i", ino);
      this.#add("c", ino);
    }
    for (const ino of notice.slices) this.#add("c", ino);
    for (const ino of notice.xattrs) this.#add("x", ino);
    for (const { parent } of notice.entries) {
      const digits = parent.toString();
      this.#set(`d${digits[0]}`).add(digits);
    }
  }

  /** Names of changed keys, all those of one beginning. */
  take(keys: readonly Buffer[]): KeyChanges {
    const attrs: Ino[] = [];
    const slices: Ino[] = [];
    const xattrs: Ino[] = [];
    const directories: Ino[] = [];
    const locks: Ino[] = [];
    const lists: Readonly<Record<string, Ino[]>> = {
      i: attrs,
      c: slices,
      x: xattrs,
      d: directories,
      lockf: locks,
      lockp: locks,
    };
    let sessions = false;
    let beginning = "";
    for (const key of keys) {
      const [, kind = "", digits = ""] = /^([a-z]+)(\d+)/.exec(key.toString("latin1")) ?? [];
      beginning = kind === "d" ? `d${digits[0]}` : kind;
      if (digits === "") sessions = true;
      else if (this.#explained.get(beginning)?.has(digits) !== true) {
        lists[kind]?.push(BigInt(digits));
      }
    }
    // Those of one turn of the server come at once: what explained them explains no later change.
    this.#explained.get(beginning)?.clear();
    const changed = attrs.length + slices.length + xattrs.length + directories.length > 0;
    const notice = changed
      ? { attrs, data: [], slices, xattrs, entries: [], directories, unexplained: attrs }
      : undefined;
    return { notice, locks, sessions };
  }

  #add(beginning: string, ino: Ino): void {
    this.#set(beginning).add(ino.toString());
  }

  #set(beginning: string): Set<string> {
    const known = this.#explained.get(beginning);
    if (known !== undefined) return known;
    const made = new Set<string>();
    this.#explained.set(beginning, made);
    return made;
  }
}
