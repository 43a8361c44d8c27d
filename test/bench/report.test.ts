import assert from "node:assert/strict";
import { test } from "node:test";
import { median, type Measurement } from "../../bench/measurement.ts";
import { columnsFor } from "../../bench/report/columns.ts";
import { documentOf } from "../../bench/report/document.ts";
import { markdownTable, plainTable, rowsOf, short } from "../../bench/report/table.ts";
import { Summary } from "../../bench/summary.ts";

const WORK = { name: "write", title: "a write", prepare: () => Promise.resolve([]) };

function measured(target: string, round: number, seconds: number): Measurement {
  return {
    ...{ work: "write", target, round, operations: 100, seconds },
    ...{ cpuSeconds: 0.01, peakBytes: round << 20 },
    redis: { roundTrips: 200, commands: 900, cpuSeconds: 0.1 },
  };
}

test("a ratio is the median of the rounds' ratios, with its spread", () => {
  // The machine was slow in round 2, for both.
  const measurements = [
    ...[measured("ours", 1, 1), measured("official", 1, 2)],
    ...[measured("ours", 2, 10), measured("official", 2, 30)],
    ...[measured("ours", 3, 1), measured("official", 3, 1)],
  ];
  const rows = rowsOf(columnsFor(["ours", "official"]), [new Summary(WORK, measurements)]);
  assert.deepEqual(rows, [
    [
      ...["", "ours", "official", "ours : official"],
      ...["trips to Redis", "S3 requests", "CPU us", "peak MiB"],
    ],
    [
      "a write",
      "100",
      "50.0",
      "2.00 (1.00..3.00)",
      "2.00 / 2.00",
      "- / -",
      "100 / 100",
      "3.00 / 3.00",
    ],
  ]);
});

test("a rate of bytes is one of MiB", () => {
  const work = { ...WORK, operationBytes: 1 << 19 };
  const rows = rowsOf(columnsFor(["ours", "plain"]), [
    new Summary(work, [measured("ours", 1, 2), measured("plain", 1, 1)]),
  ]);
  assert.deepEqual(rows[1], ["a write", "25.0 MiB/s", "50.0 MiB/s", "0.500 (0.500..0.500)"]);
});

test("the median of an even number of values lies between the two in the middle", () => {
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.ok(Number.isNaN(median([])));
});

test("numbers are shown with three digits that matter", () => {
  const shown = [0, 0.00123, 0.5, 1.2345, 98.76, 1234.5, 1_234_567, NaN].map(short);
  assert.deepEqual(shown, ["0", "0.001", "0.500", "1.23", "98.8", "1,230", "1,230,000", "-"]);
});

test("tables are aligned, for a terminal and for a document", () => {
  const rows = [
    ["", "rate"],
    ["long name", "1"],
  ];
  assert.equal(plainTable(rows), "           rate\nlong name     1");
  assert.equal(
    markdownTable(rows),
    "|           | rate |\n|-----------|-----:|\n| long name |    1 |",
  );
});

test("the document has the machine and all tables", () => {
  const text = documentOf({
    ...{
      date: "2026-01-02T03:04:05Z",
      machine: { Linux: "6.18" },
      rounds: 5,
      quick: false,
      data: {},
    },
    sections: [
      {
        title: "Some works",
        note: "A note.",
        rows: [
          ["", "rate"],
          ["work", "1"],
        ],
      },
    ],
  });
  assert.match(text, /on 2026-01-02;/);
  assert.match(text, /\| Linux +\| +6\.18 \|/);
  assert.match(text, /## Some works\n\nA note\.\n\n\| +\| rate \|\n/);
  assert.doesNotMatch(text, /\{\{/);
});
