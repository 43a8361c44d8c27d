-- What the scripts share that change locks. Stands behind prelude.lua.
--   KEYS  3 hash of owners, 4 locked<sid>: the hashes its session holds locks in, 5 waiters
--   ARGV  9 inode, 10 owner

-- Puts the owner's locks in place of those it had; nil for none. Whoever waits for a lock of the inode, wherever he is, is
-- told that another try may do; who fails again enters himself again, so one who died waiting costs one notice.
local function keep_locks(value, old)
    if value == old then return end
    if value then
        call('HSET', KEYS[3], ARGV[10], value)
        call('SADD', KEYS[4], KEYS[3])
    else
        call('HDEL', KEYS[3], ARGV[10])
        local left = false
        for _, field in ipairs(call('HKEYS', KEYS[3])) do
            left = left or string.sub(field, 1, #SID + 1) == SID .. '_'
        end
        if not left then call('SREM', KEYS[4], KEYS[3]) end
    end
    if old and call('ZREM', KEYS[5], ARGV[9]) == 1 then note('l', ARGV[9]) end
end

-- Who has a lock must have heard of everything changed before, by others than those who announce nothing.
local function newest_notice()
    local newest = call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
    return newest and newest[1] or '0-0'
end
