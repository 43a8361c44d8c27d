import type { Space } from "./cache-place.ts";

/** How much of a disk a cache folder may take: what it was given, and no more than leaves a part of the disk free. */

export interface Room {
  /** Bytes and blocks that may lie there. */
  readonly bytes: number;
  readonly items: number;
  /** Less is free than should be. */
  readonly full: boolean;
  /** So little is free that blocks which are stored nowhere else are not taken either. */
  readonly stageFull: boolean;
}

export interface RoomLimits {
  readonly capacityBytes: number;
  /** 0: as many as the file system has room for. */
  readonly items: number;
  /** Part of the disk that stays free. */
  readonly freeRatio: number;
}

export function roomOf(
  space: Space,
  { capacityBytes, items, freeRatio }: RoomLimits,
  held: { readonly bytes: number; readonly count: number },
): Room {
  const bytes = part(space.totalBytes, space.freeBytes, freeRatio);
  const inodes = part(space.totalInodes, space.freeInodes, freeRatio);
  return {
    bytes: Math.min(capacityBytes, bytes.most, held.bytes - bytes.missing),
    items: Math.min(items === 0 ? Infinity : items, inodes.most, held.count - inodes.missing),
    full: bytes.missing > 0 || inodes.missing > 0,
    stageFull: bytes.free < freeRatio / 2 || inodes.free < freeRatio / 2,
  };
}

/** What may be taken of something, what has to be given back, and what part of it is free. */
function part(
  total: number,
  free: number,
  ratio: number,
): { most: number; missing: number; free: number } {
  // Some file systems have no limit, and say 0.
  if (total === 0) return { most: Infinity, missing: -Infinity, free: 1 };
  return {
    most: total * (1 - ratio),
    missing: Math.ceil(total * ratio - free),
    free: free / total,
  };
}
