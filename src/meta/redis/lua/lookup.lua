-- uses seen
-- Finds a name in a directory, and the attributes of the inode behind it.
--   KEYS   d<parent>   ARGV   name
--   reply  {entry, attr}: the 9 bytes of the dentry; attr is false where the inode is gone. Nothing where there is no such
--          name: programs look for what is not there all the time, and an error costs more than an answer
local entry = redis.call('HGET', KEYS[1], ARGV[1])
if not entry then return false end
local high, low = struct.unpack('>I4I4', entry, 2)
local ino = string.format('%.0f', high * 4294967296 + low)
if high == 0x7fffffff and low >= 0x10000000 then
    ino = '9223372032' .. string.format('%09d', 828243968 + low - 0x10000000)
end
return {entry, seen(ino, redis.call('GET', 'i' .. ino))}
