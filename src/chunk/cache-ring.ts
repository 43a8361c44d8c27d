/**
 * Which folder of several a block belongs to: the next point on a ring, on which each folder has about a hundred (JuiceFS
 * pkg/chunk/cache_manager.go, 1.4). A folder that comes or goes moves its own share of the blocks and little more.
 */

const POINTS = 100;
const RING = 2 ** 32;
/** How the ring is balanced: so often, and by so much of what is missing. */
const ROUNDS = 5;
const ROUND_PART = 0.75;

interface Point<Folder> {
  readonly hash: number;
  readonly folder: Folder;
}

export class CacheRing<Folder extends { readonly id: string }> {
  readonly #points: readonly Point<Folder>[];
  readonly #folders: readonly Folder[];

  constructor(folders: readonly Folder[]) {
    this.#folders = folders;
    this.#points = balanced(folders);
  }

  /** Undefined where there is no folder at all. */
  of(key: string): Folder | undefined {
    if (this.#folders.length === 1) return this.#folders[0];
    const hash = murmur3(key);
    let low = 0;
    let high = this.#points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#points[middle]?.hash ?? 0) < hash) low = middle + 1;
      else high = middle;
    }
    return (this.#points[low] ?? this.#points[0])?.folder;
  }

  /** Where releases before 1.2 put it. */
  formerly(key: string): Folder | undefined {
    return this.#folders[fnv1(key) % this.#folders.length];
  }
}

/** Points of which whoever has more of the ring than the others gives some up, and whoever has less gets some. */
function balanced<Folder extends { readonly id: string }>(
  folders: readonly Folder[],
): Point<Folder>[] {
  const counts = new Map(folders.map((folder) => [folder, POINTS]));
  let points = pointsOf(counts);
  if (folders.length < 2) return points;
  const fair = 1 / folders.length;
  for (let round = 0; round < ROUNDS; round++) {
    const shares = sharesOf(points);
    for (const [folder, count] of counts) {
      const share = (shares.get(folder) ?? 0) / RING;
      const more = Math.trunc(((count * (fair - share)) / fair) * ROUND_PART);
      // Theirs passes over a single point.
      if (more !== 1) counts.set(folder, count + more);
    }
    points = pointsOf(counts);
  }
  return points;
}

function pointsOf<Folder extends { readonly id: string }>(
  counts: ReadonlyMap<Folder, number>,
): Point<Folder>[] {
  return [...counts]
    .flatMap(([folder, count]) =>
      Array.from({ length: count }, (_, replica) => ({
        hash: murmur3(`${replica}${folder.id}`),
        folder,
      })),
    )
    .toSorted((a, b) => a.hash - b.hash);
}

function sharesOf<Folder>(points: readonly Point<Folder>[]): Map<Folder, number> {
  const shares = new Map<Folder, number>();
  let before = (points.at(-1)?.hash ?? 0) - RING;
  for (const { hash, folder } of points) {
    shares.set(folder, (shares.get(folder) ?? 0) + hash - before);
    before = hash;
  }
  return shares;
}

/** MurmurHash3 of 32 bits with seed 0. */
export function murmur3(text: string): number {
  const bytes = Buffer.from(text);
  const whole = bytes.length & ~3;
  let hash = 0;
  for (let at = 0; at < whole; at += 4) {
    hash ^= mix(bytes.readInt32LE(at));
    hash = Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64;
  }
  let tail = 0;
  for (let at = bytes.length - 1; at >= whole; at--) tail = (tail << 8) | (bytes[at] ?? 0);
  if (whole < bytes.length) hash ^= mix(tail);
  hash ^= bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function mix(word: number): number {
  const first = Math.imul(word, 0xcc9e2d51);
  return Math.imul((first << 15) | (first >>> 17), 0x1b873593);
}

function fnv1(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash, 0x01000193) ^ byte;
  return hash >>> 0;
}
