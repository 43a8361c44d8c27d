/** Hours of the day: from `start` on, not in `end`; over midnight where that is the smaller one. Equal: always. */
export interface UploadHours {
  readonly start: number;
  readonly end: number;
}

/** Local time, as JuiceFS has it (pkg/chunk/cached_store.go, 1.4). */
export function isUploadHour({ start, end }: UploadHours, time: Date): boolean {
  const hour = time.getHours();
  if (start === end) return true;
  return start < end ? hour >= start && hour < end : hour >= start || hour < end;
}
