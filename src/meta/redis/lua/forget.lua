-- uses prelude
-- A session no longer keeps inodes that have no name left: those that no other session keeps are deleted.
--   KEYS  session<sid>, allSessions      ARGV  that session, inodes
--   reply for each inode the length of the data to delete, or "-1"       errors ESTALE
if fenced() then return fail('ESTALE', 'forget') end
local others, lengths = {}, {}
for _, sid in ipairs(call('ZRANGE', KEYS[4], 0, -1)) do
    local key = 'session' .. sid
    if sid ~= ARGV[9] and call('EXISTS', key) == 1 then others[#others + 1] = key end
end
for at = 10, #ARGV do
    local ino, length = ARGV[at], '-1'
    local attr = call('SREM', KEYS[3], ino) == 1 and call('GET', 'i' .. ino)
    local kept = not attr or u32(attr, NLINK) > 0
    for _, key in ipairs(others) do
        if not kept then kept = call('SISMEMBER', key, ino) == 1 end
    end
    if not kept then
        length = dec(length_of(attr))
        call('ZADD', 'delfiles', ARGV[5], ino .. ':' .. length)
        call('DEL', 'i' .. ino, 'x' .. ino)
        call('INCRBY', 'usedSpace', dec(-align4k(tonumber(length))))
        call('DECR', 'totalInodes')
    end
    lengths[#lengths + 1] = length
end
return finish(lengths)
