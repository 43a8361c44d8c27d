-- uses prelude data seen
-- Appends slice records to chunks of any files. Each record has its own outcome.
--   ARGV  most bytes of the volume (0: no limit), then for each record:
--         inode, chunk index, the 24 bytes of the record, mtime (12 bytes), and how:
--         1 when it belongs at the file's end, plus 2 when its slice is referred to already
--   reply {{attr, offset where it landed, records in its chunk} or an errno's name, ...}
--   errors ESTALE
if fenced() then return fail('ESTALE', 'commit') end
local most = tonumber(ARGV[9])

-- The status changed when the last byte was written, not when it was stored: a time that was told stays.
local function later(time, attr, at)
    local sec, known = unpack64(time, 1), unpack64(attr, at + 1)
    return sec > known or sec == known and u32(time, 8) > u32(attr, at + 8)
end

local outcomes, pushed = {}, {}
for at = 10, #ARGV, 5 do
    local ino, index, record, mtime = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3]
    local append, again = ARGV[at + 4] % 2 == 1, tonumber(ARGV[at + 4]) >= 2
    local attr = call('GET', 'i' .. ino)
    local length = struct.unpack('>I4', record, 21)
    local offset = index * CHUNK + struct.unpack('>I4', record, 1)
    if attr and append then offset = length_of(attr) end
    local outcome
    if not attr then
        outcome = 'ENOENT'
    elseif type_of(attr) ~= FILE then
        outcome = 'EPERM'
    elseif offset + length > MOST then
        outcome = 'EFBIG'
    elseif offset + length > length_of(attr) and no_room(attr, offset + length, most) then
        outcome = 'ENOSPC'
    else
        local id, size = unpack64(record, 5), struct.unpack('>I4', record, 13)
        local key = 'k' .. dec(id) .. '_' .. dec(size)
        local records, pieces = push_at(ino, offset, record)
        if id ~= 0 then pushed[key] = (pushed[key] or (again and 1 or 0)) + pieces end
        attr = put(attr, MTIME, mtime)
        if later(mtime, attr, CTIME) then attr = put(attr, CTIME, mtime) end
        attr = grown(ino, attr, math.max(length_of(attr), offset + length))
        call('SET', 'i' .. ino, attr)
        note('d', ino)
        outcome = {seen(ino, attr), dec(offset), records}
    end
    outcomes[#outcomes + 1] = outcome
end
for key, count in pairs(pushed) do
    if count > 1 then call('HINCRBY', 'sliceRef', key, count - 1) end
end
return finish(outcomes)
