import { names } from "./names.ts";
import { paths } from "./paths.ts";
import type { Rules } from "./rules.ts";

/** All rules, by theme. */
export const CASES: Readonly<Record<string, Rules>> = { paths, names };
