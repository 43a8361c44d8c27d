/** The hours of a day in which blocks are uploaded (JuiceFS pkg/chunk/cached_store.go, 1.4). */

/** From `start` on, not in `end`; over midnight where that is the smaller one. Equal: always. */
export interface UploadHours {
  readonly start: number;
  readonly end: number;
}

/** `22-6` or `22,6`. @throws RangeError saying what is expected */
export function parseUploadHours(text: string): UploadHours {
  const [, start = "", end = ""] = /^(\d{1,2})[-,](\d{1,2})$/.exec(text) ?? [];
  const hours = { start: Number(start), end: Number(end) };
  if (start === "" || hours.start > 23 || hours.end > 23) {
    throw new RangeError("expected two hours from 0 to 23, such as 22-6");
  }
  return hours;
}

/** Local time. */
export function isUploadHour({ start, end }: UploadHours, time: Date): boolean {
  const hour = time.getHours();
  if (start === end) return true;
  return start < end ? hour >= start && hour < end : hour >= start || hour < end;
}
