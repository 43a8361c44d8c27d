/** How many requests of each kind MinIO answered so far, by its own metrics. */
export type S3Counts = Readonly<Record<string, number>>;

const METRICS = "/minio/metrics/v3/api/requests";
const LINE = /^minio_api_requests_total\{name="(\w+)",.*type="s3"\} (\d+)/gm;

/** The server must run with MINIO_PROMETHEUS_AUTH_TYPE=public. */
export async function readS3Counts(endpoint: string): Promise<S3Counts> {
  const answer = await fetch(endpoint + METRICS);
  if (!answer.ok) throw new Error(`Cannot read MinIO's metrics: status ${answer.status}`);
  const counts: Record<string, number> = {};
  for (const [, name = "", count] of (await answer.text()).matchAll(LINE)) {
    counts[name] = (counts[name] ?? 0) + Number(count);
  }
  return counts;
}

/** What came in between two readings. */
export function s3Difference(before: S3Counts, after: S3Counts): S3Counts {
  const names = Object.keys(after).filter((name) => after[name] !== (before[name] ?? 0));
  return Object.fromEntries(names.map((name) => [name, (after[name] ?? 0) - (before[name] ?? 0)]));
}
