/** How an open file is read: two sequential streams are followed, and each gets a window to load ahead of it (JuiceFS pkg/vfs/reader.go, 1.4). */

const STREAMS = 2;

interface Stream {
  /** Where the next read is expected. */
  next: number;
  /** How far ahead is loaded, bytes; 0: not sequential yet. */
  window: number;
  /** Bytes read in order. */
  total: number;
  used: number;
}

export class ReadStreams {
  readonly #blockSize: number;
  readonly #max: number;
  readonly #streams: Stream[] = [];
  #clock = 0;

  constructor(blockSize: number, max: number) {
    this.#blockSize = blockSize;
    this.#max = max;
  }

  /** Notes a read of [offset, end). @returns how many bytes behind it should be loaded */
  follow(offset: number, end: number): number {
    const stream = this.#find(offset) ?? this.#begin(offset);
    stream.used = ++this.#clock;
    stream.total += end - offset;
    stream.next = Math.max(stream.next, end);
    this.#adapt(stream, offset, end - offset);
    return Math.min(stream.window, this.#max);
  }

  /** Read where it was expected, or a little before or behind: the kernel's own requests overtake each other. */
  #find(offset: number): Stream | undefined {
    return this.#streams.find(({ next, window }) => {
      const before = Math.max(window / 8, this.#blockSize / 4);
      return offset >= next - before && offset <= next + window + this.#blockSize / 4;
    });
  }

  #begin(offset: number): Stream {
    const stream = { next: offset, window: 0, total: 0, used: 0 };
    if (this.#streams.length === STREAMS) {
      const [first, second] = this.#streams;
      this.#streams.splice((first?.used ?? 0) < (second?.used ?? 0) ? 0 : 1, 1);
    }
    this.#streams.push(stream);
    return stream;
  }

  #adapt(stream: Stream, offset: number, size: number): void {
    if (stream.window === 0) {
      if (offset === 0 || stream.total > size) stream.window = this.#blockSize;
    } else if (stream.total >= stream.window && stream.window < this.#max) {
      stream.window *= 2;
    }
  }
}
