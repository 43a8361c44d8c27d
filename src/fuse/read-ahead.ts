import { writeFileSync } from "node:fs";
import { log } from "../base/log.ts";
import { mountPoints } from "./mount.ts";

/** What the kernel reads ahead of a stream, and so the largest READ that it makes of small ones. */
const READ_AHEAD_KIB = 1024;

/**
 * Has the kernel read ahead on a mount as far as it was allowed to in INIT: by itself it goes no farther than 128 KiB, and each
 * request costs the same however little it is. Where /sys cannot be written, streams are a little slower.
 */
export function widenReadAhead(target: string): void {
  const device = mountPoints().findLast((point) => point.target === target)?.device;
  if (device === undefined) return;
  try {
    writeFileSync(`/sys/class/bdi/${device}/read_ahead_kb`, String(READ_AHEAD_KIB));
  } catch (error) {
    log.debug({ error, target }, "the kernel reads ahead no farther than by default");
  }
}
