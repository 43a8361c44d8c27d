import { useCompileCache } from "../base/compile-cache.ts";

/**
 * glibc by itself takes larger and larger buffers from where memory that is free again stays with the process: with a limit of its
 * own it gives them back to the system.
 */
const LARGE_ALLOCATION = String(256 << 10);

/**
 * The environment of a process of ours: its sources are compiled once and for all, for a successor that starts quickly is a
 * pause that nobody notices.
 */
export function childEnvironment(): NodeJS.ProcessEnv {
  return {
    MALLOC_MMAP_THRESHOLD_: LARGE_ALLOCATION,
    ...process.env,
    NODE_COMPILE_CACHE: useCompileCache(),
  };
}
