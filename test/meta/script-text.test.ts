import assert from "node:assert/strict";
import { test } from "node:test";
import { scriptText } from "../../src/meta/redis/script-text.ts";

const SHARED = `-- What is shared.
local ONE, TWO = 1, 2

local function twice(n)
    -- Twice.
    return n * TWO
end

local function unused()
    return ONE
end
`;

test("a script is sent with what it uses, what that uses, and nothing else", () => {
  const text = scriptText(
    [SHARED, "local function four()\n    return twice(2)\nend"],
    "return four()",
  );
  assert.equal(
    text,
    [
      "local ONE, TWO = 1, 2",
      "local function twice(n)\n    return n * TWO\nend",
      "local function four()\n    return twice(2)\nend",
      "return four()",
    ].join("\n"),
  );
});

test("a shared file that does more than declare is refused", () => {
  assert.throws(() => scriptText(["redis.call('SET', 'a', 1)"], "return 1"), /not a declaration/);
});
