import { createStorage, type StorageSettings } from "./create.ts";
import type { ObjectStorage } from "./storage.ts";

interface Place {
  readonly storage: ObjectStorage;
  /** Requests under way. */
  busy: number;
}

/** A storage whose settings may change while it is used: requests under way end where they began. */
export class ReplaceableStorage {
  #place: Place;
  #replacements = 0;

  /** @throws Error in one sentence */
  static async open(settings: StorageSettings): Promise<ReplaceableStorage> {
    return new ReplaceableStorage(await createStorage(settings));
  }

  private constructor(storage: ObjectStorage) {
    this.#place = { storage, busy: 0 };
  }

  get limits(): ObjectStorage["limits"] {
    return this.#place.storage.limits;
  }

  localPath(key: string): string | undefined {
    return this.#place.storage.localPath?.(key);
  }

  /** Does one request. */
  async use(request: (storage: ObjectStorage) => Promise<void>): Promise<void> {
    const place = this.#place;
    place.busy++;
    try {
      await request(place.storage);
    } finally {
      place.busy--;
      if (place !== this.#place && place.busy === 0) await place.storage.close();
    }
  }

  /** @throws Error in one sentence; the storage stays what it was then */
  async replace(settings: StorageSettings): Promise<void> {
    const turn = ++this.#replacements;
    const storage = await createStorage(settings);
    if (turn !== this.#replacements) return storage.close();
    const before = this.#place;
    this.#place = { storage, busy: 0 };
    if (before.busy === 0) await before.storage.close();
  }

  close(): Promise<void> {
    return this.#place.storage.close();
  }
}
