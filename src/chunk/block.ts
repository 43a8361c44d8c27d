/** How a slice is cut into blocks, and what its objects are called (JuiceFS pkg/chunk/cached_store.go, 1.4). */

/** The key of a block below the volume's prefix. `size`: its plain bytes. */
export function blockKey(id: bigint, index: number, size: number, hashPrefix: boolean): string {
  const name = `${id}_${index}_${size}`;
  if (!hashPrefix) return `chunks/${id / 1_000_000n}/${id / 1000n}/${name}`;
  const hash = (id % 256n).toString(16).toUpperCase().padStart(2, "0");
  return `chunks/${hash}/${id / 1_000_000n}/${name}`;
}

/** Plain bytes of block `index` of a slice of `sliceSize` bytes; only the last block is shorter. */
export function blockLength(sliceSize: number, index: number, blockSize: number): number {
  return Math.min(blockSize, sliceSize - index * blockSize);
}
