-- uses prelude data seen
-- Punches holes, zeroes ranges, extends. No space is reserved: a file counts by its length.
--   KEYS  i<ino>
--   ARGV  inode, FALLOC_FL_ bits (1 keep size, 2 punch hole, 16 zero range), offset, length, most bytes, 1 to drop suid and sgid,
--         then where chunks by the ten thousand are concerned the record that was answered, and the chunks there are
--   reply attr, or {"many", record} where the chunks are asked for       errors ENOENT EPERM EPIPE ENOSPC EFBIG ESTALE
if fenced() then return fail('ESTALE', 'fallocate') end
local ino, mode = ARGV[9], tonumber(ARGV[10])
local from, to = tonumber(ARGV[11]), tonumber(ARGV[11]) + tonumber(ARGV[12])
local attr = call('GET', KEYS[3])
if not attr then return fail('ENOENT', 'fallocate') end
if type_of(attr) == 4 then return fail('EPIPE', 'fallocate') end
if type_of(attr) ~= FILE or has_flag(attr, IMMUTABLE) then return fail('EPERM', 'fallocate') end
if has_flag(attr, APPEND) and mode > 1 then return fail('EPERM', 'fallocate') end
if to > MOST then return fail('EFBIG', 'fallocate') end
local old = length_of(attr)
local length = mode % 2 == 1 and old or math.max(old, to)
if no_room(attr, length, tonumber(ARGV[13])) then return fail('ENOSPC', 'fallocate') end
local last = mode > 1 and math.min(to, mode % 2 == 1 and old or to) or from
if ask_chunks(attr, from, last, 15) then return {'many', attr} end
if from < last then push_zeros(ino, from, last, 15) end
if ARGV[14] == '1' then attr = disarmed(attr) end
attr = grown(ino, put(put(attr, MTIME, NOW), CTIME, NOW), length)
call('SET', KEYS[3], attr)
note('d', ino)
return finish(seen(ino, attr))
