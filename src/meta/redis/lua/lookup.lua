-- uses seen
-- Finds a name in a directory, and the attributes of the inode behind it.
--   KEYS   d<parent>   ARGV   name
--   reply  {entry, attr, slices}: the 9 bytes of the dentry; attr is false where the inode is gone; of a short file the
--          first slices of its chunk, so that who opens it to read it need not ask again; of a symlink its target, for it may be
--          replaced before who came to it asks. Nothing where there is no such name: programs look for what is not there all
--          the time, and an error costs more than an answer
local entry = redis.call('HGET', KEYS[1], ARGV[1])
if not entry then return false end
local high, low = struct.unpack('>I4I4', entry, 2)
local ino = string.format('%.0f', high * 4294967296 + low)
if high == 0x7fffffff and low >= 0x10000000 then
    ino = '9223372032' .. string.format('%09d', 828243968 + low - 0x10000000)
end
local record = redis.call('GET', 'i' .. ino)
local slices = {}
if string.byte(entry, 1) == 1 and record and #record >= 71 then
    local above, length = struct.unpack('>I4I4', record, 52)
    if above == 0 and length > 0 and length <= 4194304 then slices = redis.call('LRANGE', 'c' .. ino .. '_0', 0, 7) end
end
if string.byte(entry, 1) == 3 then slices = {redis.call('GET', 's' .. ino)} end
return {entry, seen(ino, record), slices}
