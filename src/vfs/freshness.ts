import type { Trust } from "../meta/meta.ts";
import type { Ino } from "../meta/types.ts";

/**
 * Whether something heard from the server may still be used. Everything heard has a place in one order, notices and
 * answers alike: a read that was overtaken by a notice of its inode is told apart by the place at which it was sent.
 */

/** For how long the kernel may keep an answer, in milliseconds. */
export const LIFETIME_MS: Readonly<Record<Trust, number>> = { long: 60_000, short: 1000, none: 0 };
/** Notices are counted by a hash of their inode: one that is not meant costs a round trip, nothing else. */
const SHARDS = 4096;
/** Of what was contradicted. */
const NEVER = 0;

/** A place in the order of everything heard. */
export type ReadMark = number;

/** Stamped onto what is kept. */
export interface Heard {
  /** When it was heard, in that order. */
  mark: ReadMark;
  /** The same by a clock that never jumps, in milliseconds. */
  at: number;
  /** Raised each time everything is given up. */
  round: number;
}

export class Freshness {
  readonly #trust: () => Trust;
  readonly #noticed = new Float64Array(SHARDS);
  #count = 0;
  #floor = 0;
  #round = 1;
  #interruptedAt = -Infinity;

  constructor(trust: () => Trust) {
    this.#trust = trust;
  }

  get trust(): Trust {
    return this.#trust();
  }

  /** To be taken before a read or a change is sent. */
  mark(): ReadMark {
    return this.#count;
  }

  /** Somebody else changed the inode. */
  notice(ino: Ino): void {
    this.#noticed[shard(ino)] = ++this.#count;
  }

  /** True when somebody changed the inode since, or everything was given up: the answer may be used once and kept by nobody. */
  overtaken(ino: Ino, mark: ReadMark): boolean {
    return mark < this.#floor || (this.#noticed[shard(ino)] ?? 0) > mark;
  }

  stamp(record: Heard): void {
    record.mark = ++this.#count;
    record.at = performance.now();
    record.round = this.#round;
  }

  contradict(record: Heard): void {
    record.round = NEVER;
  }

  /** True unless somebody said that it changed; it may be too old all the same. */
  contradicted(record: Heard): boolean {
    return record.round === NEVER;
  }

  /** How long it may be used from now on, by the kernel too, in milliseconds; 0: not any more. Among clients that announce their changes it is as good as new each time. */
  leftMs({ round, at }: Heard): number {
    if (round !== this.#round) return 0;
    const trust = this.#trust();
    if (trust === "none") return 0;
    const missed = at <= this.#interruptedAt;
    if (trust === "long" && !missed) return LIFETIME_MS.long;
    const since = trust === "long" ? this.#interruptedAt : at;
    return Math.max(0, Math.floor(since + LIFETIME_MS[trust] - performance.now()));
  }

  /** Nothing heard so far may be used any more, nor what is under way. */
  startOver(): void {
    this.#round++;
    this.#floor = ++this.#count;
  }

  /** Notices were missed for a moment and read afterwards, but not what is done by clients that announce nothing: what was heard before gets no longer life than a new answer. */
  interrupted(): void {
    this.#interruptedAt = performance.now();
  }
}

function shard(ino: Ino): number {
  return Number(BigInt.asUintN(12, ino));
}
