-- Gives up slices that a compaction replaced and that were kept as long as the trash keeps files.
--   KEYS  delSlices, sliceRef      ARGV  field of delSlices
--   reply {id, size, id, size, ...}: slices that nobody refers to any more
local gone = {}
local records = redis.call('HGET', KEYS[1], ARGV[1]) or ''
for at = 1, #records - 11, 12 do
    local high, low, size = struct.unpack('>I4I4I4', records, at)
    local id = string.format('%.0f', high * 4294967296 + low)
    if redis.call('HINCRBY', KEYS[2], 'k' .. id .. '_' .. size, -1) < 0 then
        gone[#gone + 1] = id
        gone[#gone + 1] = tostring(size)
    end
end
redis.call('HDEL', KEYS[1], ARGV[1])
return gone
