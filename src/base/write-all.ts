import { writev as writevLater, writevSync } from "node:fs";
import { promisify } from "node:util";

const writev = promisify(writevLater);
/** So few bytes are written to the page cache more quickly than handed to the thread pool. */
const SMALL_BYTES = 256 << 10;

/** Writes the concatenation of `parts` to a file, also where the system takes less than it was given. */
export async function writeAll(fd: number, parts: readonly Uint8Array[]): Promise<void> {
  let left = parts.filter((part) => part.length > 0);
  const small = left.reduce((sum, part) => sum + part.length, 0) <= SMALL_BYTES;
  while (left.length > 0) {
    let count = small ? writevSync(fd, left) : (await writev(fd, left)).bytesWritten;
    let whole = 0;
    while (whole < left.length && count >= (left[whole]?.length ?? 0)) {
      count -= left[whole]?.length ?? 0;
      whole++;
    }
    left = left.slice(whole);
    const [first, ...rest] = left;
    if (first !== undefined && count > 0) left = [first.subarray(count), ...rest];
  }
}
