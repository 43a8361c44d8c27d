import { liesIn } from "../base/inside.ts";
import type { Format } from "../meta/format.ts";
import type { StorageSettings } from "../object/create.ts";
import type { MountValues } from "../options/mount.ts";
import { diskCacheOptions } from "./cache-settings.ts";

/**
 * What serves a mount must not wait for it.
 *
 * @throws Error naming the folder that lies on the mountpoint itself
 */
export function requireOutside(
  mountpoint: string,
  storage: StorageSettings,
  { format, values }: { format: Format; values: MountValues },
): void {
  if (storage.Storage === "file" && liesIn(storage.Bucket, mountpoint)) {
    throw new Error(
      `Cannot mount on "${mountpoint}": the volume's objects lie there in "${storage.Bucket}"; choose another mountpoint`,
    );
  }
  const folders = diskCacheOptions(format, values, 0)?.folders ?? [];
  const own = folders.find((folder) => liesIn(folder, mountpoint));
  if (own !== undefined) {
    throw new Error(
      `Cannot mount on "${mountpoint}": the cache folder "${own}" would lie there; choose another --cache-dir`,
    );
  }
}
