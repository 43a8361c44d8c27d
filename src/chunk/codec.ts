import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { compressSync as lz4Compress, uncompressSync as lz4Uncompress } from "lz4-napi";

/**
 * Compression of blocks. An object is one raw LZ4 block, or Zstandard frames that tell their content's size; how many bytes
 * come out is known from the object's name, and nothing that would become more is unpacked. Works in the thread that calls,
 * on bytes alone: workers make a codec of their own by its name.
 */
export interface Codec {
  readonly name: "none" | "lz4" | "zstd";
  encode(parts: readonly Uint8Array[]): Promise<readonly Uint8Array[]>;
  /** @throws Error when other than `into.length` bytes come out */
  decode(stored: Uint8Array, into: Uint8Array): Promise<void>;
  /** Bytes that `size` plain bytes may become at most. */
  bound(size: number): number;
}

type Encode = (parts: readonly Uint8Array[]) => readonly Uint8Array[];
type Decode = (stored: Uint8Array, into: Uint8Array) => void;

/** lz4-napi puts the plain size, four bytes, before the block. */
const LZ4_HEAD = 4;
const ZSTD_LEVEL = 1;

const codecs: Readonly<Record<string, Codec>> = {
  none: codec(
    "none",
    (parts) => parts,
    copy,
    (size) => size,
  ),
  lz4: codec("lz4", encodeLz4, decodeLz4, (size) => size + Math.ceil(size / 255) + 16),
  zstd: codec("zstd", encodeZstd, decodeZstd, zstdBound),
};

/** @throws Error when the volume asks for a codec nobody knows */
export function codecOf(name: string): Codec {
  const found = codecs[name === "" ? "none" : name.toLowerCase()];
  if (found === undefined)
    throw new Error(`Cannot read compression "${name}": expected none, lz4 or zstd`);
  return found;
}

function codec(name: Codec["name"], encode: Encode, decode: Decode, bound: Codec["bound"]): Codec {
  return {
    ...{ name, bound },
    encode: async (parts) => Promise.resolve(encode(parts)),
    decode: async (stored, into) => Promise.resolve(decode(stored, into)),
  };
}

function encodeLz4(parts: readonly Uint8Array[]): readonly Uint8Array[] {
  return [lz4Compress(joined(parts)).subarray(LZ4_HEAD)];
}

function decodeLz4(stored: Uint8Array, into: Uint8Array): void {
  const framed = Buffer.allocUnsafe(LZ4_HEAD + stored.length);
  framed.writeUInt32LE(into.length, 0);
  framed.set(stored, LZ4_HEAD);
  copy(
    refusing(into.length, () => lz4Uncompress(framed)),
    into,
  );
}

function encodeZstd(parts: readonly Uint8Array[]): readonly Uint8Array[] {
  const plain = joined(parts);
  const params = { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL };
  // One chunk takes all that may come out.
  const chunkSize = Math.max(zstdBound(plain.length), 64);
  return [zstdCompressSync(plain, { params, pledgedSrcSize: plain.length, chunkSize })];
}

/** What zlib's binding counts besides what it gives back. */
interface Unpacked {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

/** Frames may follow one another; the library stops after the first one. */
function decodeZstd(stored: Uint8Array, into: Uint8Array): void {
  let done = 0;
  let rest = stored;
  while (rest.length > 0) {
    const room = Math.max(into.length - done, 1);
    const how = { maxOutputLength: room, chunkSize: Math.max(room, 64), info: true };
    const { buffer, engine } = refusing(
      into.length,
      () => zstdDecompressSync(rest, how) as unknown as Unpacked,
    );
    if (done + buffer.length > into.length) throw wrongSize(done + buffer.length, into.length);
    into.set(buffer, done);
    done += buffer.length;
    if (engine.bytesWritten === 0) break;
    rest = rest.subarray(engine.bytesWritten);
  }
  if (done !== into.length) throw wrongSize(done, into.length);
}

/** ZSTD_COMPRESSBOUND. */
function zstdBound(size: number): number {
  const small = 128 << 10;
  return size + (size >> 8) + (size < small ? (small - size) >> 11 : 0);
}

function copy(plain: Uint8Array, into: Uint8Array): void {
  if (plain.length !== into.length) throw wrongSize(plain.length, into.length);
  into.set(plain);
}

function refusing<T>(size: number, decompress: () => T): T {
  try {
    return decompress();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new Error(`It does not unpack to ${size} bytes (${code ?? message})`, { cause });
  }
}

function wrongSize(found: number, expected: number): Error {
  return new Error(`It holds ${found} bytes, expected ${expected}`);
}

function joined(parts: readonly Uint8Array[]): Buffer {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) {
    return Buffer.from(only.buffer, only.byteOffset, only.length);
  }
  return Buffer.concat(parts);
}
