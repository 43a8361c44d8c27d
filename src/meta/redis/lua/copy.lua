-- uses prelude data seen
-- Lets a range of one file stand in another: slices are shared, nothing is copied. What to push was planned by the
-- caller from the source's records, which must be the same still.
--   KEYS  i<in>, i<out>
--   ARGV  inode out, offset out, length copied, most bytes, 1 to drop suid and sgid, number of source chunks, then for each its
--         key and the SHA-1 of its records, then for each piece its record (pos is the distance from the offset)
--   reply attr, or "changed" where the source is no longer what was planned
--   errors ENOENT EINVAL EPERM ENOSPC EFBIG ESTALE
if fenced() then return fail('ESTALE', 'copy') end
local ino, offset, length = ARGV[9], tonumber(ARGV[10]), tonumber(ARGV[11])
local source, attr = call('GET', KEYS[3]), call('GET', KEYS[4])
if not source or not attr then return fail('ENOENT', 'copy') end
if type_of(source) ~= FILE or type_of(attr) ~= FILE then return fail('EINVAL', 'copy') end
if locked_by_flags(attr) then return fail('EPERM', 'copy') end
if offset + length > MOST then return fail('EFBIG', 'copy') end
local new_length = math.max(length_of(attr), offset + length)
if no_room(attr, new_length, tonumber(ARGV[12])) then return fail('ENOSPC', 'copy') end
local chunks = tonumber(ARGV[14])
for i = 1, chunks do
    local records = table.concat(call('LRANGE', ARGV[13 + 2 * i], 0, -1))
    if redis.sha1hex(records) ~= ARGV[14 + 2 * i] then return 'changed' end
end
for at = 15 + 2 * chunks, #ARGV do
    local distance, high, low, size = struct.unpack('>I4I4I4I4', ARGV[at])
    local _, pieces = push_at(ino, offset + distance, ARGV[at])
    if high + low > 0 then
        call('HINCRBY', 'sliceRef', 'k' .. dec(high * 4294967296 + low) .. '_' .. dec(size), pieces)
    end
end
if ARGV[13] == '1' then attr = disarmed(attr) end
attr = grown(ino, put(put(attr, MTIME, NOW), CTIME, NOW), new_length)
call('SET', KEYS[4], attr)
note('d', ino)
return finish(seen(ino, attr))
