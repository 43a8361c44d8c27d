-- Drops counts that say what a missing one says: one reference.
--   KEYS  sliceRef      ARGV  fields
--   reply how many were dropped
local dropped = 0
for _, field in ipairs(ARGV) do
    if redis.call('HGET', KEYS[1], field) == '0' then dropped = dropped + redis.call('HDEL', KEYS[1], field) end
end
return dropped
