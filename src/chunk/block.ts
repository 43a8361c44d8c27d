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

/** One object of a slice, as its name tells. */
export interface BlockName {
  readonly id: number;
  readonly index: number;
  /** Plain bytes. */
  readonly size: number;
}

/** What a key below the volume's prefix says; undefined where it is no block's. */
export function parseBlockKey(key: string): BlockName | undefined {
  const [, id, index, size] = /^chunks\/[0-9A-F]+\/\d+\/(\d+)_(\d+)_(\d+)$/.exec(key) ?? [];
  const found = { id: Number(id), index: Number(index), size: Number(size) };
  return Number.isSafeInteger(found.id) && found.id > 0 ? found : undefined;
}

/** True where a slice of `sliceSize` bytes has such a block. */
export function isBlockOf(block: BlockName, sliceSize: number, blockSize: number): boolean {
  return (
    block.size > 0 &&
    block.index * blockSize < sliceSize &&
    blockLength(sliceSize, block.index, blockSize) === block.size
  );
}
