import { median, rate, type Measurement } from "../measurement.ts";
import type { Work } from "../works/work.ts";

/** Measurements as lines of text, a work a line. */

const MIB = 1 << 20;

export interface Column {
  readonly head: string;
  readonly cell: (summary: Summary) => string;
}

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

  /** Median of the rounds. */
  median(target: string, value: (measurement: Measurement) => number | undefined): number {
    const values = this.of(target).flatMap((measurement) => value(measurement) ?? []);
    return median(values);
  }

  /** Rates of one target to those of the other in the same round. */
  ratios(target: string, other: string): number[] {
    return this.of(target).flatMap((measurement) => {
      const beside = this.of(other).find(({ round }) => round === measurement.round);
      return beside === undefined ? [] : rate(measurement) / rate(beside);
    });
  }
}

function perOperation(
  summary: Summary,
  targets: readonly string[],
  value: (measurement: Measurement) => number | undefined,
): string {
  return targets
    .map((target) =>
      summary.median(target, (measurement) => {
        const count = value(measurement);
        return count === undefined ? undefined : count / measurement.operations;
      }),
    )
    .map((number) => (Number.isNaN(number) ? "-" : short(number)))
    .join(" / ");
}

function rateColumn(target: string): Column {
  return {
    head: target,
    cell: (summary) => {
      const value = summary.median(target, rate);
      const bytes = summary.work.operationBytes;
      if (Number.isNaN(value)) return "-";
      return bytes === undefined ? short(value) : `${short((value * bytes) / MIB)} MiB/s`;
    },
  };
}

/** The columns that say something about these targets; the first one is compared with the second. */
export function columnsFor(targets: readonly string[]): Column[] {
  const [first = "", second = ""] = targets;
  const clients = targets.filter((target) => target !== "plain");
  const columns: Column[] = [
    { head: "", cell: ({ work }) => work.title },
    ...targets.map(rateColumn),
    {
      head: `${first} : ${second}`,
      cell: (summary) => ratioText(summary.ratios(first, second)),
    },
  ];
  if (clients.length < 2) return columns;
  return [
    ...columns,
    {
      head: "trips to Redis",
      cell: (summary) => perOperation(summary, clients, ({ redis }) => redis?.roundTrips),
    },
    {
      head: "S3 requests",
      cell: (summary) =>
        perOperation(summary, clients, ({ s3 }) =>
          s3 === undefined
            ? undefined
            : Object.values(s3).reduce((total, count) => total + count, 0),
        ),
    },
    {
      head: "CPU us",
      cell: (summary) =>
        perOperation(summary, clients, ({ cpuSeconds }) => Math.max(0, cpuSeconds) * 1e6),
    },
    {
      head: "peak MiB",
      cell: (summary) =>
        clients
          .map((target) => Math.max(...summary.of(target).map(({ peakBytes }) => peakBytes)))
          .map((bytes) => short(bytes / MIB))
          .join(" / "),
    },
  ];
}

function ratioText(ratios: readonly number[]): string {
  if (ratios.length === 0) return "-";
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
  return `${short(median(ratios))} (${short(least)}..${short(most)})`;
}

/** Three digits that matter. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (value === 0) return "0";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  if (digits > 3) return value.toFixed(3);
  const rounded = Number(value.toPrecision(3));
  return digits === 0 ? rounded.toLocaleString("en-US") : rounded.toFixed(digits);
}

/** Columns of even width. */
export function textTable(columns: readonly Column[], summaries: readonly Summary[]): string {
  const rows = [
    columns.map(({ head }) => head),
    ...summaries.map((summary) => columns.map(({ cell }) => cell(summary))),
  ];
  const widths = columns.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, at) =>
          at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0),
        )
        .join("  "),
    )
    .join("\n");
}
