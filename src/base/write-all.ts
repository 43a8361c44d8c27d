import type { FileHandle } from "node:fs/promises";

/** Writes the concatenation of `parts` to a file, also where the system takes less than it was given. */
export async function writeAll(file: FileHandle, parts: readonly Uint8Array[]): Promise<void> {
  let left = parts.filter((part) => part.length > 0);
  while (left.length > 0) {
    let { bytesWritten } = await file.writev(left);
    let whole = 0;
    while (whole < left.length && bytesWritten >= (left[whole]?.length ?? 0)) {
      bytesWritten -= left[whole]?.length ?? 0;
      whole++;
    }
    left = left.slice(whole);
    const [first, ...rest] = left;
    if (first !== undefined && bytesWritten > 0) left = [first.subarray(bytesWritten), ...rest];
  }
}
