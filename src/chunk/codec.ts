import { promisify } from "node:util";
import { constants, zstdCompress, zstdDecompress } from "node:zlib";
import { compress as lz4Compress, uncompress as lz4Uncompress } from "lz4-napi";

/**
 * Compression of blocks. An object is one raw LZ4 block, or one Zstandard frame that tells its content's size; how many
 * bytes come out is known from the object's name.
 */
export interface Codec {
  readonly name: "none" | "lz4" | "zstd";
  encode(parts: readonly Uint8Array[]): Promise<readonly Uint8Array[]>;
  /** @throws Error when other than `into.length` bytes come out */
  decode(stored: Uint8Array, into: Uint8Array): Promise<void>;
  /** Bytes that `size` plain bytes may become at most. */
  bound(size: number): number;
}

const zstdEncode = promisify(zstdCompress);
const zstdDecode = promisify(zstdDecompress);
/** lz4-napi puts the plain size, four bytes, before the block. */
const LZ4_HEAD = 4;

const codecs: Readonly<Record<string, Codec>> = {
  none: {
    name: "none",
    encode: (parts) => Promise.resolve(parts),
    decode: (stored, into) => {
      take(stored, into);
      return Promise.resolve();
    },
    bound: (size) => size,
  },
  lz4: {
    name: "lz4",
    encode: async (parts) => [(await lz4Compress(joined(parts))).subarray(LZ4_HEAD)],
    decode: async (stored, into) => {
      const framed = Buffer.allocUnsafe(LZ4_HEAD + stored.length);
      framed.writeUInt32LE(into.length + 4, 0);
      framed.set(stored, LZ4_HEAD);
      take(await lz4Uncompress(framed), into);
    },
    bound: (size) => size + Math.ceil(size / 255) + 16,
  },
  zstd: {
    name: "zstd",
    encode: async (parts) => {
      const plain = joined(parts);
      const params = { [constants.ZSTD_c_compressionLevel]: 1 };
      return [await zstdEncode(plain, { params, pledgedSrcSize: plain.length })];
    },
    decode: async (stored, into) => {
      take(await zstdDecode(stored, { chunkSize: Math.max(into.length, 64) }), into);
    },
    bound: (size) => size + Math.ceil(size / 256) + 1024,
  },
};

/** @throws Error when the volume asks for a codec nobody knows */
export function codecOf(name: string): Codec {
  const codec = codecs[name === "" ? "none" : name.toLowerCase()];
  if (codec === undefined)
    throw new Error(`Cannot read compression "${name}": expected none, lz4 or zstd`);
  return codec;
}

function take(plain: Uint8Array, into: Uint8Array): void {
  if (plain.length !== into.length) {
    throw new Error(`Block has ${plain.length} bytes, expected ${into.length}`);
  }
  into.set(plain);
}

function joined(parts: readonly Uint8Array[]): Buffer {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) {
    return Buffer.from(only.buffer, only.byteOffset, only.length);
  }
  return Buffer.concat(parts);
}
