-- uses prelude clocks
-- Drops the locks of a session that ends, its own or a dead one's, and wakes those who wait for them.
--   KEYS  locked<sid>, waiters, allSessions, waiting      ARGV  session, most hashes to look at, 1 for a dead session
--   reply how many hashes are left; -1 where the session is alive after all      errors ESTALE
if fenced() then return fail('ESTALE', 'endlocks') end
local sid = ARGV[9]
local score = call('ZSCORE', KEYS[5], sid)
local _, earliest = clocks(NOW_SEC)
if ARGV[11] == '1' and score and tonumber(score) > earliest then return -1 end
for _, key in ipairs(call('SRANDMEMBER', KEYS[3], ARGV[10])) do
    local dropped = false
    for _, owner in ipairs(call('HKEYS', key)) do
        if string.sub(owner, 1, #sid + 1) == sid .. '_' then
            call('HDEL', key, owner)
            dropped = true
        end
    end
    call('SREM', KEYS[3], key)
    local ino = string.match(key, 'lock[fp](%d+)$')
    if dropped and ino and call('ZREM', KEYS[4], ino) == 1 then note('l', ino) end
end
for _, owner in ipairs(call('HKEYS', KEYS[6])) do
    if string.sub(owner, 1, #sid + 1) == sid .. '_' then call('HDEL', KEYS[6], owner) end
end
announce()
return call('SCARD', KEYS[3])
