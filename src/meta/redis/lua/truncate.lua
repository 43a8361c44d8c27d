-- uses prelude data
-- Gives a file another length. What is cut off or added becomes zeros.
--   KEYS  i<ino>      ARGV  inode, new length, most bytes of the volume (0: no limit), 1 to drop suid and sgid,
--                           then where chunks by the ten thousand are concerned: the length that was found, and the chunks there are
--   reply attr, or {"many", length} where these are asked for        errors ENOENT EPERM EISDIR ENOSPC EFBIG ESTALE
if fenced() then return fail('ESTALE', 'truncate') end
local ino, length = ARGV[9], tonumber(ARGV[10])
local attr = call('GET', KEYS[3])
if not attr then return fail('ENOENT', 'truncate') end
if type_of(attr) ~= FILE or locked_by_flags(attr) then return fail('EPERM', 'truncate') end
local parent = parent_of(attr)
if is_trash(parent) and parent ~= TRASH then return fail('EPERM', 'truncate') end
if length > MOST then return fail('EFBIG', 'truncate') end
local old = length_of(attr)
if length > old and no_room(attr, length, tonumber(ARGV[11])) then return fail('ENOSPC', 'truncate') end
if length ~= old then
    local from, to = math.min(length, old), math.max(length, old)
    local first, last = math.floor(from / CHUNK), math.floor(to / CHUNK)
    if last - first > 10000 then
        if ARGV[13] ~= dec(old) then return {'many', dec(old)} end
        push_zeros(ino, from, (first + 1) * CHUNK)
        for i = 14, #ARGV do
            local index = tonumber(ARGV[i])
            if index > first and index < last then call('RPUSHX', chunk_key(ino, index), hole(0, CHUNK)) end
        end
        if to > last * CHUNK then call('RPUSH', chunk_key(ino, last), hole(0, to - last * CHUNK)) end
    else
        push_zeros(ino, from, to)
    end
    attr = grown(ino, attr, length)
    note('d', ino)
end
if ARGV[12] == '1' then
    local mode = bit.band(mode_of(attr), bit.bnot(2048))
    if bit.band(mode, 8) ~= 0 then mode = bit.band(mode, bit.bnot(1024)) end
    attr = put(attr, MODE, struct.pack('>I2', FILE * 4096 + mode))
end
attr = put(put(attr, MTIME, NOW), CTIME, NOW)
call('SET', KEYS[3], attr)
note('a', ino)
return finish(attr)
