-- uses prelude locks
-- Takes or drops a flock.
--   KEYS  lockf<ino>, locked<sid>, waiters      ARGV  inode, owner field, "R", "W" or "U", 1 when the caller will wait
--   reply 1 when it is done, 0 when another owner is in the way      errors ESTALE
if fenced() then return fail('ESTALE', 'flock') end
local ino, owner, want = ARGV[9], ARGV[10], ARGV[11]
local before = call('HGET', KEYS[3], owner)
if want == 'U' then
    call('HDEL', KEYS[3], owner)
    forget_key_without_locks(KEYS[3], KEYS[4])
else
    local held = call('HGETALL', KEYS[3])
    for i = 1, #held, 2 do
        if held[i] ~= owner and (want == 'W' or held[i + 1] == 'W') then
            if ARGV[12] == '1' then call('ZADD', KEYS[5], ARGV[5], ino) end
            return 0
        end
    end
    call('HSET', KEYS[3], owner, want)
    call('SADD', KEYS[4], KEYS[3])
end
if before and want ~= 'W' then wake_waiters(KEYS[5], ino) end
announce()
return 1
