import { isDeepStrictEqual } from "node:util";
import { log } from "../base/log.ts";
import type { Format } from "../meta/format.ts";
import type { StorageLimits, StorageSettings } from "../object/create.ts";
import type { OpenedStore } from "./open-store.ts";
import { followLimits, storageSettings, type StorageValues } from "./storage-settings.ts";

interface Parts {
  readonly storage: StorageSettings & { readonly limits: StorageLimits };
  /** What this client was told, which counts more than the volume's settings. */
  readonly values: Partial<StorageValues>;
  readonly store: OpenedStore;
}

/**
 * The volume's settings may be changed while it is mounted: bandwidth, bucket, keys, class of objects. What else they say
 * is looked up whenever it is needed.
 */
export class FollowedSettings {
  readonly #parts: Parts;
  #storage: Parts["storage"];

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#storage = parts.storage;
  }

  follow(format: Format): void {
    const { values, store } = this.#parts;
    const { limits } = this.#storage;
    followLimits(limits, format, values);
    const storage = storageSettings(format, values, limits);
    if (isDeepStrictEqual(storage, this.#storage)) return;
    this.#storage = storage;
    store.useStorage(storage).then(
      () => {
        log.info(
          { storage: storage.Storage },
          "using the storage as the volume's settings say now",
        );
      },
      (error: unknown) => {
        log.error({ error }, "the volume's settings were changed to a storage that cannot be used");
      },
    );
  }
}
