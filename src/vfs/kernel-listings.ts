import type { Ino } from "../meta/types.ts";
import { LIFETIME_MS } from "./freshness.ts";

const DIRECTORIES_MAX = 50_000;

/** What an open of a directory is answered with. */
export interface ListingUse {
  /** The kernel may serve the listing from its pages, and fill them. */
  readonly cache: boolean;
  /** Its pages stay. */
  readonly keep: boolean;
}

interface Kept {
  /** The listing that the pages were filled from; undefined where it is not the directory's any more. */
  listing: object | undefined;
  /** Opens that may fill the pages. */
  open: number;
  since: number;
}

const NO_USE: ListingUse = { cache: false, keep: false };

/**
 * Listings that the kernel holds in pages. It adds entries by their offsets, whichever open they came through: so all opens
 * that may fill the pages read one and the same listing, whose offsets stay. Its own changes the kernel sees itself.
 */
export class KernelListings {
  readonly #kept = new Map<Ino, Kept>();

  /** `listing`: what is known in full and will be read; undefined where that is not so. */
  opened(ino: Ino, listing: object | undefined): ListingUse {
    const kept = this.#kept.get(ino);
    if (listing === undefined || (kept !== undefined && kept.open > 0 && kept.listing !== listing))
      return NO_USE;
    const now = performance.now();
    // Names that the kernel gives out itself get no new lifetimes: then they cost a request each.
    const keep = kept?.listing === listing && now - kept.since < LIFETIME_MS.long;
    const open = (kept?.open ?? 0) + 1;
    this.#kept.delete(ino);
    this.#kept.set(ino, { listing, open, since: keep ? kept.since : now });
    this.#shrink();
    return { cache: true, keep };
  }

  /** The end of an open that was told to cache. */
  closed(ino: Ino): void {
    const kept = this.#kept.get(ino);
    if (kept !== undefined && kept.open > 0) kept.open--;
  }

  /** @returns true when the kernel may hold pages of it */
  doubt(ino: Ino): boolean {
    const kept = this.#kept.get(ino);
    if (kept === undefined) return false;
    const held = kept.listing !== undefined;
    kept.listing = undefined;
    return held;
  }

  *held(): Generator<Ino> {
    for (const [ino, kept] of this.#kept) if (kept.listing !== undefined) yield ino;
  }

  /** One that is forgotten is filled anew at its next open. */
  #shrink(): void {
    for (const [ino, kept] of this.#kept) {
      if (this.#kept.size <= DIRECTORIES_MAX) return;
      if (kept.open === 0) this.#kept.delete(ino);
    }
  }
}
