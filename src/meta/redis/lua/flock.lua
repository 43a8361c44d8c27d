-- uses prelude locks
-- Takes or drops a flock. As on Linux, one that is converted is dropped first: two who hold it shared and both want it
-- alone do not wait for each other.
--   KEYS  lockf<ino>, locked<sid>, waiters      ARGV  inode, owner field, "R", "W" or "U", 1 when the caller will wait
--   reply the newest notice's id when it is done, 0 when another owner is in the way      errors ESTALE
if fenced() then return fail('ESTALE', 'flock') end
local ino, owner, want = ARGV[9], ARGV[10], ARGV[11]
local held, own, blocked = call('HGETALL', KEYS[3]), nil, false
for i = 1, #held, 2 do
    if held[i] == owner then
        own = held[i + 1]
    elseif want == 'W' or want == 'R' and held[i + 1] ~= 'R' then
        blocked = true
    end
end
keep_locks(want ~= 'U' and not blocked and want or nil, own)
announce()
if blocked and ARGV[12] == '1' then call('ZADD', KEYS[5], ARGV[5], ino) end
return blocked and 0 or newest_notice()
