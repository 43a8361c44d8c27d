-- uses prelude
-- Puts a new slice in the place of the oldest records of chunks, where they are still what was read. Several chunks may share
-- the slice. What was replaced is kept as long as the trash keeps files, or loses a reference at once.
--   KEYS  sliceRef, delSlices
--   ARGV  1 to keep what is replaced, then for each chunk: inode, chunk index, number of records read, SHA-1 of them, how
--         many of the first stay, new record
--   reply {{1 or 0 for each chunk}, {id, size, id, size, ...}: slices that nobody refers to any more}     errors ESTALE
if fenced() then return fail('ESTALE', 'compact') end
local done, replaced, pushed, gone = {}, {}, 0, {}
local function count_of(record, at)
    local high, low, size = struct.unpack('>I4I4I4', record, at)
    local id = dec(high * 4294967296 + low)
    return 'k' .. id .. '_' .. size, id, tostring(size)
end
local new_record
for at = 10, #ARGV, 6 do
    local ino, read, kept = ARGV[at], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 4])
    local key = 'c' .. ino .. '_' .. ARGV[at + 1]
    local records = call('LRANGE', key, 0, read - 1)
    local same = #records == read and redis.sha1hex(table.concat(records)) == ARGV[at + 3]
    if same then
        new_record = ARGV[at + 5]
        call('LTRIM', key, read, -1)
        call('LPUSH', key, new_record)
        for i = kept, 1, -1 do call('LPUSH', key, records[i]) end
        for i = kept + 1, read do
            if struct.unpack('>I4I4', records[i], 5) + struct.unpack('>I4', records[i], 9) > 0 then
                replaced[#replaced + 1] = string.sub(records[i], 5, 16)
            end
        end
        pushed = pushed + 1
        note('c', ino)
    end
    done[#done + 1] = same and 1 or 0
end
if pushed > 1 then call('HINCRBY', KEYS[3], (count_of(new_record, 5)), pushed - 1) end
if ARGV[9] == '1' and #replaced > 0 then
    local _, id = count_of(new_record, 5)
    call('HSET', KEYS[4], id .. '_' .. ARGV[5], table.concat(replaced))
elseif ARGV[9] ~= '1' then
    for _, slice in ipairs(replaced) do
        local key, id, size = count_of(slice, 1)
        if call('HINCRBY', KEYS[3], key, -1) < 0 then
            gone[#gone + 1] = id
            gone[#gone + 1] = size
        end
    end
end
return finish({done, gone})
