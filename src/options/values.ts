/** Values as JuiceFS's command line writes them (cmd/flags.go, 1.4). Each parser throws RangeError with what it expects. */

const KIB = 1024;
export const MIB = KIB * KIB;
export const GIB = KIB * MIB;

const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  K: KIB,
  M: MIB,
  G: GIB,
  T: KIB * GIB,
  P: MIB * GIB,
  E: GIB * GIB,
};

/** Bytes: a decimal number and at most one letter; without a letter it counts in `unit`. */
export function parseSize(text: string, unit: number): number {
  const [, digits = "", letter = ""] = /^(\d+(?:\.\d+)?)([BKMGTPE]?)$/i.exec(text) ?? [];
  const bytes = Number(digits) * (letter === "" ? unit : (SIZE_UNITS[letter.toUpperCase()] ?? NaN));
  if (digits === "" || !Number.isFinite(bytes)) {
    throw new RangeError("expected a size such as 300M or 1.5G");
  }
  return Math.floor(bytes);
}

const SPANS_MS: Readonly<Record<string, number>> = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 0.001,
};

/** Milliseconds: a plain number of seconds, or spans such as `1h30m`, `2d12h`, `100ms`. */
export function parseDuration(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const spans = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|us|[dhms])/g)];
  if (spans.length === 0 || spans.map(([whole]) => whole).join("") !== text) {
    throw new RangeError("expected a duration such as 30s, 1h30m or 2d");
  }
  return spans.reduce(
    (sum, [, count, span = ""]) => sum + Number(count) * (SPANS_MS[span] ?? 0),
    0,
  );
}

const BANDWIDTH_UNITS: Readonly<Record<string, number>> = {
  M: 1,
  G: 1000,
  T: 1_000_000,
  P: 1_000_000_000,
};

/** Mbps: a number, or one with M, G, T or P (powers of 1000). */
export function parseBandwidth(text: string): number {
  const [, digits = "", letter = "M"] = /^(\d+(?:\.\d+)?)([MGTP])?$/i.exec(text) ?? [];
  if (digits === "") throw new RangeError("expected Mbps, such as 800 or 1G");
  return Math.floor(Number(digits) * (BANDWIDTH_UNITS[letter.toUpperCase()] ?? 1));
}

/** A whole number of at least `least`. */
export function parseCount(text: string, least = 0): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count < least) {
    throw new RangeError(`expected a whole number from ${least} on`);
  }
  return count;
}

/** A part of one, such as 0.1. */
export function parseRatio(text: string): number {
  const ratio = Number(text);
  if (!/^\d*\.?\d+$/.test(text) || ratio >= 1) {
    throw new RangeError("expected a number from 0 to below 1, such as 0.1");
  }
  return ratio;
}

/** Permission bits in octal. */
export function parseMode(text: string): number {
  if (!/^0?[0-7]{1,4}$/.test(text)) throw new RangeError("expected permission bits such as 022");
  return Number.parseInt(text, 8);
}

/** As options of volumes are written: an option without a value is on. */
export function parseBoolean(text: string): boolean {
  if (/^(|true|t|1|yes|on)$/i.test(text)) return true;
  if (/^(false|f|0|no|off)$/i.test(text)) return false;
  throw new RangeError("expected true or false");
}

/** One of a few words, in any case. */
export function parseChoice<T extends string>(text: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === text.toLowerCase());
  if (found !== undefined) return found;
  throw new RangeError(`expected ${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}`);
}

/** Two hours of the day, `22-6` or `22,6`. */
export function parseHours(text: string): { start: number; end: number } {
  const [, start = "", end = ""] = /^(\d{1,2})[-,](\d{1,2})$/.exec(text) ?? [];
  const hours = { start: Number(start), end: Number(end) };
  if (start === "" || hours.start > 23 || hours.end > 23) {
    throw new RangeError("expected two hours from 0 to 23, such as 22-6");
  }
  return hours;
}

const NOBODY = 65534;
/** The highest number means "nobody in particular" to the kernel. */
const ID_MAX = 0xff_ff_ff_fe;

/** `UID:GID`; a part that is left out is nobody. */
export function parseOwner(text: string): { uid: number; gid: number } {
  const [, uid = "", gid = ""] = /^(\d*):?(\d*)$/.exec(text) ?? [];
  if (!/^\d*(:\d*)?$/.test(text)) throw new RangeError("expected UID:GID, such as 1000:1000");
  const owner = {
    uid: uid === "" ? NOBODY : Number(uid),
    gid: gid === "" ? NOBODY : Number(gid),
  };
  if (Math.max(owner.uid, owner.gid) > ID_MAX) {
    throw new RangeError(`expected UID:GID up to ${ID_MAX}`);
  }
  return owner;
}
