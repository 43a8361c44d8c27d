import type { Summary } from "../summary.ts";

/** Rows of cells as text; the first row is the head, the first column is aligned left. */

export type Rows = readonly (readonly string[])[];

export interface Column {
  readonly head: string;
  readonly cell: (summary: Summary) => string;
}

export function rowsOf(columns: readonly Column[], summaries: readonly Summary[]): Rows {
  return [
    columns.map(({ head }) => head),
    ...summaries.map((summary) => columns.map(({ cell }) => cell(summary))),
  ];
}

/** For a terminal. */
export function plainTable(rows: Rows): string {
  const widths = widthsOf(rows);
  return rows.map((row) => padded(row, widths).join("  ").trimEnd()).join("\n");
}

export function markdownTable(rows: Rows): string {
  const widths = widthsOf(rows);
  const [head = [], ...body] = rows.map((row) => `| ${padded(row, widths).join(" | ")} |`);
  const rule = widths.map((width, at) => "-".repeat(width + 1) + (at === 0 ? "-" : ":"));
  return [head, `|${rule.join("|")}|`, ...body].join("\n");
}

function widthsOf(rows: Rows): number[] {
  const [head = []] = rows;
  return head.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
}

function padded(row: readonly string[], widths: readonly number[]): string[] {
  return row.map((cell, at) => {
    const width = widths[at] ?? 0;
    return at === 0 ? cell.padEnd(width) : cell.padStart(width);
  });
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
