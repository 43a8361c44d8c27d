import type { MountValues } from "../options/mount.ts";

/** What `-o` means to us; what it does not is passed on to mount(8). */

/** Acted on here, or without a meaning: everybody is let in, and the kernel checks permissions. */
const OURS = new Set([
  ...["rw", "ro", "allow_other", "allow_root", "async_dio", "debug", "nonempty", "writeback_cache"],
]);

function given(values: MountValues): string[] {
  return values.o
    .split(",")
    .map((option) => option.trim())
    .filter((option) => option !== "");
}

/** What mount(8) and the kernel decide about. The name that `df` shows is always the volume's, as with JuiceFS. */
function passedOn(values: MountValues): string[] {
  return given(values).filter((option) => !OURS.has(option) && !option.startsWith("fsname="));
}

export function isReadOnly(values: MountValues): boolean {
  return values["read-only"] || given(values).includes("ro");
}

export function wantsWritebackCache(values: MountValues): boolean {
  return given(values).includes("writeback_cache");
}

/** True where a mountpoint that is not empty may be covered. */
export function allowsNonempty(values: MountValues): boolean {
  return given(values).includes("nonempty");
}

/** True where callers become somebody else: the kernel, which knows them as they are, cannot check for us. */
export function checksItself(values: MountValues): boolean {
  return values["root-squash"] !== undefined || values["all-squash"] !== undefined;
}

/** The options for mount(8), besides those of the descriptor. */
export function kernelOptions(values: MountValues): string[] {
  return [
    "allow_other",
    ...(checksItself(values) ? [] : ["default_permissions"]),
    ...(isReadOnly(values) ? ["ro"] : []),
    ...passedOn(values),
  ];
}

/** mount(8) lists all that may be wrong; here it is what came with `-o`. */
export function withRefusedOptions(
  mountpoint: string,
  values: MountValues,
  error: unknown,
): unknown {
  const passed = passedOn(values);
  if (passed.length === 0 || !(error instanceof Error) || !/bad option/.test(error.message)) {
    return error;
  }
  return new Error(
    `Cannot mount on "${mountpoint}": the kernel refuses -o "${passed.join(",")}"; leave out what it does not know`,
    { cause: error },
  );
}
