import assert from "node:assert/strict";
import { test } from "node:test";
import {
  destroysOnRemove,
  formatValues,
  mountValues,
  parseVolumeOptions,
  requireKept,
} from "../../src/driver/options.ts";
import { volumeName } from "../../src/driver/origin.ts";

test("no options, null and an empty object are the same", () => {
  for (const opts of [undefined, null, {}]) {
    assert.deepEqual(parseVolumeOptions(opts), { given: {}, secrets: {} });
  }
});

test("dashes, underscores and leading dashes name the same option", () => {
  const { given } = parseVolumeOptions({ "--trash_days": "3", max_uploads: "4" });
  assert.deepEqual(given, { "trash-days": "3", "max-uploads": "4" });
});

test("values become those of format and mount", () => {
  const { given, secrets } = parseVolumeOptions({
    ...{ storage: "minio", bucket: "http://h:9000/b", "access-key": "k", "secret-key": "s" },
    ...{ capacity: "10", "block-size": "1M", "read-only": "", "buffer-size": "64", subdir: "/a" },
  });
  const format = formatValues(given, secrets);
  assert.equal(format.capacity, 10 * 2 ** 30);
  assert.equal(format["block-size"], 2 ** 20);
  assert.equal(format["secret-key"], "s");
  const mount = mountValues(given, secrets);
  assert.equal(mount["read-only"], true);
  assert.equal(mount["buffer-size"], 64 * 2 ** 20);
  assert.equal(mount.subdir, "/a");
  assert.equal(mount.bucket, undefined);
});

test("secrets are kept apart", () => {
  const { given, secrets } = parseVolumeOptions({
    ...{ metaurl: "redis://:p@h/1", "secret-key": "s", "session-token": "t", "access-key": "a" },
  });
  assert.deepEqual(given, { "access-key": "a" });
  assert.deepEqual(secrets, { metaurl: "redis://:p@h/1", "secret-key": "s", "session-token": "t" });
});

const REFUSED: readonly (readonly [string, Record<string, string>, RegExp])[] = [
  [
    "an unknown option",
    { metaulr: "redis://h/1" },
    /"metaulr": there is none; did you mean "metaurl"/,
  ],
  ["one that resembles none", { zzzzzzzz: "" }, /"zzzzzzzz": there is none; docs\/docker.md/],
  ["an option given twice", { "trash-days": "1", trash_days: "2" }, /trash-days is given twice/],
  ["a bad number", { "trash-days": "x" }, /trash-days "x": expected a whole number/],
  ["a bad size", { "buffer-size": "lots" }, /buffer-size "lots": expected a size/],
  ["a bad switch", { "read-only": "maybe" }, /read-only "maybe": expected true or false/],
  ["a bad choice", { "on-remove": "burn" }, /on-remove "burn": expected keep or destroy/],
  ["a bad name", { name: "A" }, /name "A": expected 3 to 63 lower-case/],
  ["an empty value", { bucket: "" }, /bucket "": expected a value/],
  ["a store without a bucket", { storage: "s3" }, /storage "s3" without a bucket/],
  [
    "a URL without its storage",
    { bucket: "http://h:9000/b" },
    /"http:\/\/h:9000\/b" as a folder: add -o storage=minio or/,
  ],
  [
    "a folder that depends on the driver's own",
    { bucket: "b" },
    /"b" as a folder: .*absolute path/,
  ],
  ["a user that no system has", { "all-squash": "99999999999:1" }, /expected UID:GID up to/],
  [
    "the destruction of a directory",
    { "on-remove": "Destroy", subdir: "a" },
    /on-remove=destroy with subdir: it would destroy the whole file system/,
  ],
  [
    "a directory above the root",
    { subdir: "a/../../b" },
    /subdir "a\/..\/..\/b": expected a path from the volume's root/,
  ],
  ["two of one secret", { "secret-key": "s", "secret-key-file": "f" }, /give one of them/],
];
for (const [what, opts, expected] of REFUSED) {
  test(`${what} is refused in one sentence`, () => {
    assert.throws(
      () => parseVolumeOptions(opts),
      (error: Error) => {
        assert.ok(error instanceof RangeError);
        assert.match(error.message, expected);
        assert.doesNotMatch(error.message, /\n/);
        return true;
      },
    );
  });
}

test("a volume that shows a directory never destroys its file system", () => {
  assert.ok(destroysOnRemove({ "on-remove": "destroy" }));
  assert.ok(!destroysOnRemove({ "on-remove": "destroy", subdir: "a" }));
  assert.ok(!destroysOnRemove({}));
});

test("the managed plugin takes no folder that its upgrade throws away", () => {
  const refused = (opts: Record<string, string>, kept?: string): string => {
    try {
      requireKept(parseVolumeOptions(opts), kept);
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  };
  const lost: Record<string, string>[] = [
    { bucket: "/srv/photos" },
    { bucket: "/jfs/../srv" },
    { writeback: "true", "cache-dir": "/jfs/cache:/ssd" },
  ];
  for (const opts of lost) {
    assert.match(refused(opts, "/jfs"), /an upgrade of the plugin would throw it away/);
    assert.equal(refused(opts), "");
  }
  const kept: Record<string, string>[] = [
    {},
    { bucket: "/jfs/photos" },
    { storage: "minio", bucket: "http://h:9000/b" },
    { "cache-dir": "/ssd" },
    { writeback: "", "cache-dir": "memory" },
    { writeback: "" },
  ];
  for (const opts of kept) assert.equal(refused(opts, "/jfs"), "", JSON.stringify(opts));
});

test("what JuiceFS takes for the least it can do with is that here too", () => {
  const { given, secrets } = parseVolumeOptions({ heartbeat: "0", "buffer-size": "0" });
  const values = mountValues(given, secrets);
  assert.equal(values.heartbeat, 1000);
  assert.equal(values["buffer-size"], 32 * 2 ** 20);
  assert.ok(mountValues({ heartbeat: "100d" }, {}).heartbeat < 2 ** 31, "what a timer can wait");
});

test("what is refused about a secret does not tell it", () => {
  for (const opts of [
    { metaurl: "http://user:hush@h/1" },
    { bucket: "http://user:hush@h/b" },
  ] as Record<string, string>[]) {
    assert.throws(
      () => parseVolumeOptions(opts),
      (error: Error) => {
        assert.doesNotMatch(error.message, /hush/);
        return true;
      },
    );
  }
});

test("a file system is named after its docker volume, with a mark where the name must change", () => {
  assert.equal(volumeName("photos-2"), "photos-2");
  for (const name of ["v", "Photos", "my_app.data", "f".repeat(64), "x-", "a.".repeat(64)]) {
    assert.match(volumeName(name), /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/);
  }
  assert.notEqual(volumeName("a_b"), volumeName("a.b"));
});
