import { median, rate, type Measurement } from "../measurement.ts";
import type { Summary } from "../summary.ts";
import { short, type Column } from "./table.ts";

/** The columns of the table of works. */

const MIB = 1 << 20;

type Value = (measurement: Measurement) => number | undefined;

/** Those that say something about these targets; the first target is compared with the second. */
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
    perOperation("trips to Redis", clients, ({ redis }) => redis?.roundTrips),
    perOperation("S3 requests", clients, s3Requests),
    perOperation("CPU us", clients, ({ cpuSeconds }) => cpuSeconds * 1e6),
    {
      head: "peak MiB",
      cell: (summary) => clients.map((target) => short(peakOf(summary, target) / MIB)).join(" / "),
    },
  ];
}

function rateColumn(target: string): Column {
  return {
    head: target,
    cell: (summary) => {
      const value = summary.median(target, rate);
      const bytes = summary.work.operationBytes;
      return bytes === undefined ? short(value) : `${short((value * bytes) / MIB)} MiB/s`;
    },
  };
}

function perOperation(head: string, targets: readonly string[], value: Value): Column {
  const each: Value = (measurement) => {
    const count = value(measurement);
    return count === undefined ? undefined : count / measurement.operations;
  };
  return {
    head,
    cell: (summary) => targets.map((target) => short(summary.median(target, each))).join(" / "),
  };
}

function s3Requests({ s3 }: Measurement): number | undefined {
  if (s3 === undefined) return undefined;
  return Object.values(s3).reduce((total, count) => total + count, 0);
}

function peakOf(summary: Summary, target: string): number {
  return Math.max(...summary.of(target).map(({ peakBytes }) => peakBytes));
}

/** Median, and from where to where. */
export function ratioText(ratios: readonly number[]): string {
  if (ratios.length === 0) return "-";
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
  return `${short(median(ratios))} (${short(least)}..${short(most)})`;
}
