import { checkStorage } from "../object/check.ts";
import { createStorage, type StorageSettings } from "../object/create.ts";

/** Writes, reads and deletes an object. @throws Error in one sentence, with what the store said */
export async function tryStorage(settings: StorageSettings): Promise<void> {
  if ((process.env["JFS_NO_CHECK_OBJECT_STORAGE"] ?? "") !== "") return;
  const storage = await createStorage(settings);
  try {
    await checkStorage(storage);
  } finally {
    await storage.close();
  }
}
