-- Takes a chunk of a deleted file away; its slices lose a reference each.
--   KEYS  c<ino>_<indx>, sliceRef
--   reply {id, size, id, size, ...} as text: slices that nobody refers to any more
local gone = {}
for _, record in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
    local high, low, size = struct.unpack('>I4I4I4', record, 5)
    local id = string.format('%.0f', high * 4294967296 + low)
    if id ~= '0' and redis.call('HINCRBY', KEYS[2], 'k' .. id .. '_' .. size, -1) < 0 then
        gone[#gone + 1] = id
        gone[#gone + 1] = tostring(size)
    end
end
redis.call('DEL', KEYS[1])
return gone
