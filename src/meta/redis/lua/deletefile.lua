-- Takes the chunks of a deleted file away, part by part; their slices lose a reference for each record. Looks a little behind
-- the recorded length too: a file that was shrunk keeps its higher chunks.
--   KEYS  sliceRef, delfiles      ARGV  inode, length, chunk index to begin with, most chunks to look at
--   reply {next chunk index or "" when all is done, id, size, id, size, ...}: slices that nobody refers to any more
local ino, chunks = ARGV[1], math.ceil(tonumber(ARGV[2]) / 67108864)
local index, most = tonumber(ARGV[3]), tonumber(ARGV[4])
local stop, missing, records = index + most, 0, 0
local gone = {''}
while index < stop and records < 5000 and (index < chunks or missing < 16) do
    local key = 'c' .. ino .. '_' .. string.format('%.0f', index)
    local list = redis.call('LRANGE', key, 0, -1)
    missing = #list == 0 and missing + 1 or 0
    for _, record in ipairs(list) do
        local high, low, size = struct.unpack('>I4I4I4', record, 5)
        local id = string.format('%.0f', high * 4294967296 + low)
        if id ~= '0' and redis.call('HINCRBY', KEYS[1], 'k' .. id .. '_' .. size, -1) < 0 then
            gone[#gone + 1] = id
            gone[#gone + 1] = tostring(size)
        end
    end
    if #list > 0 then redis.call('DEL', key) end
    records, index = records + #list, index + 1
end
if index < chunks or missing < 16 then
    gone[1] = string.format('%.0f', index)
else
    redis.call('ZREM', KEYS[2], ino .. ':' .. ARGV[2])
end
return gone
