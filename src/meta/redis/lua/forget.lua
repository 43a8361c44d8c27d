-- uses prelude
-- Deletes an inode that has no name left and that a session kept because it was open.
--   KEYS  i<ino>, session<sid>      ARGV  inode
--   reply length of the data to delete, or -1       errors ESTALE
if fenced() then return fail('ESTALE', 'forget') end
local ino = ARGV[9]
if call('SISMEMBER', KEYS[4], ino) == 0 then return -1 end
local attr = call('GET', KEYS[3])
call('SREM', KEYS[4], ino)
if not attr or u32(attr, NLINK) > 0 then return -1 end
local length = length_of(attr)
call('ZADD', 'delfiles', ARGV[5], ino .. ':' .. dec(length))
call('DEL', KEYS[3])
call('INCRBY', 'usedSpace', dec(-align4k(length)))
call('DECR', 'totalInodes')
return finish(length)
