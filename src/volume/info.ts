import { blockKey } from "../chunk/block.ts";
import { align4K, TYPE_DIRECTORY, TYPE_FILE } from "../meta/limits.ts";
import type { Meta } from "../meta/meta.ts";
import type { Attr, Ino } from "../meta/types.ts";
import { blockParts } from "./file-blocks.ts";
import type { JobOptions } from "./progress.ts";
import { walk } from "./walk.ts";

/** What an inode holds and where its bytes lie (JuiceFS cmd/info.go, 1.4). */
export interface InodeInfo {
  readonly inode: string;
  readonly paths: readonly string[];
  readonly files: number;
  readonly dirs: number;
  /** Bytes of all files. */
  readonly length: number;
  /** Bytes they are counted with. */
  readonly size: number;
  /** Of a file: what its contents are made of, in order; holes have no object. */
  readonly objects?: readonly ObjectPart[] | undefined;
}

export interface ObjectPart {
  readonly chunkIndex: number;
  readonly object: string;
  /** Plain bytes of the whole object. */
  readonly size: number;
  /** What of it is used. */
  readonly offset: number;
  readonly length: number;
}

/**
 * @param recursive counts everything below a directory, not only its own entries
 * @throws FsError ENOENT
 */
export async function inodeInfo(
  meta: Meta,
  ino: Ino,
  { recursive = false, signal }: JobOptions & { recursive?: boolean },
): Promise<InodeInfo> {
  const attr = await meta.getattr(ino);
  const sum = { files: 0, dirs: 0, length: 0, size: 0 };
  count(sum, attr);
  if (attr.type === TYPE_DIRECTORY) {
    for await (const { entries } of walk(meta, ino, { recursive, signal })) {
      for (const entry of entries) if (entry.attr !== undefined) count(sum, entry.attr);
    }
  }
  const objects = attr.type === TYPE_FILE ? await objectsOf(meta, ino, attr.length) : undefined;
  return { inode: ino.toString(), paths: await meta.paths(ino), ...sum, objects };
}

export interface Counts {
  files: number;
  dirs: number;
  length: number;
  size: number;
}

export function count(sum: Counts, { type, length }: Attr): void {
  if (type === TYPE_DIRECTORY) {
    sum.dirs++;
    sum.size += 4096;
    return;
  }
  sum.files++;
  sum.length += type === TYPE_FILE ? length : 0;
  sum.size += align4K(length);
}

async function objectsOf(meta: Meta, ino: Ino, fileLength: number): Promise<ObjectPart[]> {
  const { Name, HashPrefix } = meta.format;
  const parts: ObjectPart[] = [];
  for await (const part of blockParts(meta, ino, fileLength)) {
    const { chunkIndex, blockLength: size, offset, length } = part;
    const object = `${Name}/${blockKey(part.id, part.index, size, HashPrefix)}`;
    parts.push({ chunkIndex, object, size, offset, length });
  }
  return parts;
}
