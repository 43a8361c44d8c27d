import { blockLength } from "../chunk/block.ts";
import type { BlockId } from "../chunk/block-store.ts";
import { CHUNK_SIZE } from "../meta/limits.ts";
import { cutPieces, mergeSlices } from "../meta/merge.ts";
import type { Meta } from "../meta/meta.ts";
import type { Ino } from "../meta/types.ts";

/** A part of a file that lies in one block. */
export interface BlockPart extends BlockId {
  readonly chunkIndex: number;
  /** Plain bytes of the whole block. */
  readonly blockLength: number;
  /** What of it is the file's. */
  readonly offset: number;
  readonly length: number;
}

/** What a file of `length` bytes is made of, as it is committed, in order; holes are left out. */
export async function* blockParts(
  meta: Pick<Meta, "readChunk" | "format">,
  ino: Ino,
  length: number,
): AsyncIterable<BlockPart> {
  const blockSize = meta.format.BlockSize * 1024;
  for (let chunkIndex = 0; chunkIndex * CHUNK_SIZE < length; chunkIndex++) {
    const view = mergeSlices(await meta.readChunk(ino, chunkIndex));
    const end = Math.min(length - chunkIndex * CHUNK_SIZE, CHUNK_SIZE);
    for (const { id, size, off, len } of cutPieces(view, 0, end)) {
      if (id === 0n) continue;
      for (let at = off; at < off + len;) {
        const index = Math.floor(at / blockSize);
        const start = index * blockSize;
        const whole = blockLength(size, index, blockSize);
        const to = Math.min(off + len, start + whole);
        const block = { id, sliceSize: size, index, blockLength: whole };
        yield { chunkIndex, ...block, offset: at - start, length: to - at };
        at = to;
      }
    }
  }
}
