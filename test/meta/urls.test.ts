import assert from "node:assert/strict";
import { test } from "node:test";
import { parseMetaUrl } from "../../src/meta/redis/connect.ts";

/** Meta URLs, as JuiceFS takes them. */

test("a URL tells user, password, host, port and database", () => {
  const { options, shown } = parseMetaUrl("redis://ann:s%2Fcret@[::1]:6380/7");
  assert.deepEqual(options, {
    ...{ username: "ann", password: "s/cret", host: "::1", port: 6380, db: 7 },
  });
  assert.equal(shown, "redis://ann:***@[::1]:6380/7");
  assert.equal(parseMetaUrl("localhost").options.port, 6379);
  assert.equal(parseMetaUrl("unix:///run/a@b.sock?db=3").options.path, "/run/a@b.sock");
});

for (const url of [
  "redis://ann:12/secret@host/1",
  "redis://ann:12#secret@host/1",
  "redis://ann:12?secret@host/1",
  "ann:12/secret@host/1",
  "redis://ann:sec ret/secret@ho st/1",
  "redis://:secret@host/x",
  "http://:secret@host/1",
]) {
  test(`what is wrong with ${url.replaceAll("secret", "...")} is told without the password`, () => {
    assert.throws(
      () => parseMetaUrl(url),
      ({ message }: Error) => message.startsWith("Cannot use meta URL ") && !/sec/.test(message),
    );
  });
}
