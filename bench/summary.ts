import { median, rate, type Measurement } from "./measurement.ts";
import type { Work } from "./works/work.ts";

/** A work's rounds on all targets. */
export class Summary {
  readonly work: Work;
  readonly #measurements: readonly Measurement[];

  constructor(work: Work, measurements: readonly Measurement[]) {
    this.work = work;
    this.#measurements = measurements.filter((measurement) => measurement.work === work.name);
  }

  of(target: string): Measurement[] {
    return this.#measurements.filter((measurement) => measurement.target === target);
  }

  /** Median of the rounds; NaN where nothing was measured. */
  median(target: string, value: (measurement: Measurement) => number | undefined): number {
    return median(this.of(target).flatMap((measurement) => value(measurement) ?? []));
  }

  /** Rates of one target to those of the other in the same round: what disturbed one of them disturbed both. */
  ratios(target: string, other: string): number[] {
    return this.of(target).flatMap((measurement) => {
      const beside = this.of(other).find(({ round }) => round === measurement.round);
      return beside === undefined ? [] : rate(measurement) / rate(beside);
    });
  }
}
