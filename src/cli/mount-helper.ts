import { basename } from "node:path";
import { mountCommand } from "./commands/mount.ts";

/**
 * What mount(8) calls for a file system of type juicefs, such as a line of fstab:
 * `mount.juicefs META-URL MOUNTPOINT [-sfnv] [-o OPTIONS]` (JuiceFS cmd/main.go, 1.4).
 */

/** Meant for init systems and mount(8), which have acted on them. */
const NOT_FOR_US = new Set([
  ...["_netdev", "nofail", "auto", "noauto", "rw", "defaults", "remount", "background"],
]);

/** Names of long ago. */
const RENAMED: Readonly<Record<string, string>> = {
  attrcacheto: "attr-cache",
  entrycacheto: "entry-cache",
  direntrycacheto: "dir-entry-cache",
};

/** @param called the path that this program was called by */
export function isMountHelper(called: string | undefined, env = process.env): boolean {
  return basename(called ?? "") === "mount.juicefs" || (env["CALL_VIA_MOUNT"] ?? "") !== "";
}

/** The arguments of mount(8) as those of the command. @throws Error naming an option that lacks its value */
export function mountArguments(args: readonly string[]): string[] {
  const [metaUrl, mountpoint, ...rest] = args;
  if (metaUrl === undefined || mountpoint === undefined) return ["mount", "--help"];
  const given = rest
    .flatMap((word, at) => (rest[at - 1] === "-o" ? word.split(",") : []))
    .map((option) => option.trim())
    .filter((option) => option !== "" && !NOT_FOR_US.has(option) && !/^x-/i.test(option));
  const known = new Map(
    mountCommand().options.map((option) => [option.name(), option.required] as const),
  );
  const options: string[] = [];
  const passed: string[] = [];
  for (const option of given) {
    const [written = "", ...value] = option.split("=");
    const name = RENAMED[written] ?? written;
    const needsValue = name.length > 1 ? known.get(name) : undefined;
    if (needsValue === undefined) passed.push(option);
    else if (needsValue && value.length === 0) {
      throw new Error(`Cannot use mount option "${option}": it needs a value, as in ${option}=...`);
    } else options.push(`--${[name, ...value].join("=")}`);
  }
  const fuse = passed.length === 0 ? [] : ["-o", passed.join(",")];
  return ["mount", "-d", ...options, ...fuse, metaUrl, mountpoint];
}
