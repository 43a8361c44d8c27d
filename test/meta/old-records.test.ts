import assert from "node:assert/strict";
import { test } from "node:test";
import { ROOT_INO, TYPE_DIRECTORY, TYPE_FILE } from "../../src/meta/limits.ts";
import type { Ino, NodeType } from "../../src/meta/types.ts";
import { makeVolume, ROOT_CALLER, type TestVolume } from "../support/meta.ts";

/** Records of the earliest releases end before the parent; a byte more was written then as now. */
const OLD_BYTES = 64;

/** Everything is done to inodes with such records that can be done to names. */
for (const trashDays of [0, 1]) {
  test(`inodes whose records name no parent keep names and counts, with ${trashDays} days of trash`, async () => {
    await using volume = await makeVolume({ trashDays });
    const { meta } = await volume.open();
    const make = async (text: string, type: NodeType = TYPE_FILE): Promise<Ino> => {
      const node = { type, mode: 0o755, umask: 0 };
      const { ino } = await meta.create(ROOT_CALLER, ROOT_INO, Buffer.from(text), node);
      await shorten(volume, ino);
      return ino;
    };
    const [moved, , folder, linked] = [
      await make("moved"),
      await make("replaced"),
      await make("folder", TYPE_DIRECTORY),
      await make("linked"),
    ];
    const names = (fromName: string, toParent: Ino, toName: string) => ({
      ...{ fromParent: ROOT_INO, fromName: Buffer.from(fromName), flags: 0 },
      ...{ toParent, toName: Buffer.from(toName) },
    });

    await meta.setattr(ROOT_CALLER, moved, { mode: 0o600 });
    await meta.truncate(ROOT_CALLER, moved, 10);
    await meta.rename(ROOT_CALLER, names("moved", ROOT_INO, "replaced"));
    await meta.rename(ROOT_CALLER, names("replaced", folder, "f"));
    await meta.link(ROOT_CALLER, linked, ROOT_INO, Buffer.from("link"));
    await meta.unlink(ROOT_CALLER, ROOT_INO, Buffer.from("linked"));

    const found = await meta.lookup(folder, Buffer.from("f"));
    assert.deepEqual([found.ino, found.attr.length, found.attr.mode], [moved, 10, 0o600]);
    const { entries } = await meta.readdir(ROOT_INO, "0", true);
    const listed = entries.map(({ name, attr }) => `${name.toString()} ${attr?.nlink}`);
    assert.deepEqual(listed.toSorted(), ["folder 2", "link 1"]);
    await meta.unlink(ROOT_CALLER, folder, Buffer.from("f"));
    await meta.unlink(ROOT_CALLER, ROOT_INO, Buffer.from("link"));
    await meta.rmdir(ROOT_CALLER, ROOT_INO, Buffer.from("folder"));
    // In the trash: four inodes, and the folder they lie in.
    assert.equal(await volume.redis.get("totalInodes"), trashDays === 0 ? "0" : "5");
  });
}

async function shorten({ redis }: TestVolume, ino: Ino): Promise<void> {
  const record = (await redis.getBuffer(`i${ino}`)) ?? Buffer.alloc(0);
  await redis.set(`i${ino}`, Buffer.concat([record.subarray(0, OLD_BYTES - 1), Buffer.alloc(1)]));
}
