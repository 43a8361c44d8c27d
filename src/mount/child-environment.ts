import { useCompileCache } from "../base/compile-cache.ts";

/**
 * The environment of a process of ours: its sources are compiled once and for all, for a successor that starts quickly is a
 * pause that nobody notices.
 */
export function childEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, NODE_COMPILE_CACHE: useCompileCache() };
}
