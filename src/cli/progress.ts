import { MultiBar, Presets, type SingleBar } from "cli-progress";
import { log } from "../base/log.ts";
import type { Counter, Progress } from "../volume/progress.ts";

/** How far a job is: bars on a terminal, a line every few seconds in a log. */

const LINE_EVERY_MS = 10_000;

/** Bars end before the caller prints its result: `end` is called then. */
export function showProgress(): Progress & { end(): void } {
  return process.stderr.isTTY ? new Bars() : new Lines();
}

class Bars implements Progress {
  readonly #bars = new MultiBar(
    {
      format: "{what} {bar} {value}/{total} {size} {duration_formatted}",
      ...{ clearOnComplete: false, hideCursor: true, stream: process.stderr },
      ...{ barsize: 30, autopadding: true, etaAsynchronousUpdate: true },
    },
    Presets.shades_classic,
  );

  count(what: string, total = 0): Counter {
    const bar: SingleBar = this.#bars.create(total, 0, { what, size: "" });
    let bytes = 0;
    let counted = 0;
    let known = total;
    return {
      add: (items = 1, more = 0) => {
        bytes += more;
        counted += items;
        if (counted > known) bar.setTotal((known = counted));
        bar.update(counted, bytes > 0 ? { size: formatBytes(bytes) } : {});
      },
      expect: (expected) => {
        bar.setTotal((known = expected));
      },
      end: () => {
        bar.setTotal(counted);
        bar.stop();
      },
    };
  }

  end(): void {
    this.#bars.stop();
  }
}

class Lines implements Progress {
  readonly #timers = new Set<NodeJS.Timeout>();

  count(what: string, total = 0): Counter {
    let [counted, bytes, known] = [0, 0, total];
    const tell = (): void => {
      const context = { done: counted, ...(known > counted ? { of: known } : {}) };
      log.info({ ...context, ...(bytes > 0 ? { size: formatBytes(bytes) } : {}) }, what);
    };
    const timer = setInterval(tell, LINE_EVERY_MS);
    timer.unref();
    this.#timers.add(timer);
    return {
      add: (items = 1, more = 0) => {
        counted += items;
        bytes += more;
      },
      expect: (expected) => {
        known = expected;
      },
      end: () => {
        clearInterval(timer);
        this.#timers.delete(timer);
        tell();
      },
    };
  }

  end(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Bytes for people: `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  const digits = power === 0 ? 0 : 1;
  return `${(bytes / 1024 ** power).toFixed(digits)} ${UNITS[power]}`;
}
