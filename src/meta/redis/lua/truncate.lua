-- uses prelude data seen
-- Gives a file another length. What is cut off or added becomes zeros.
--   KEYS  i<ino>
--   ARGV  inode, new length, most bytes of the volume (0: no limit), and how: "k" drops suid and sgid, "o" the file is open here,
--         "p" by path: one that has the length already keeps its mtime; then where chunks by the ten thousand are concerned the
--         record that was answered, and the chunks there are
--   reply attr, or {"many", record} where the chunks are asked for        errors ENOENT EPERM ENOSPC EFBIG ESTALE
if fenced() then return fail('ESTALE', 'truncate') end
local ino, length, how = ARGV[9], tonumber(ARGV[10]), ARGV[12]
local attr = call('GET', KEYS[3])
if not attr then return fail('ENOENT', 'truncate') end
if type_of(attr) ~= FILE or locked_by_flags(attr) then return fail('EPERM', 'truncate') end
if lies_in_trash(attr) and not string.find(how, 'o', 1, true) then return fail('EPERM', 'truncate') end
if length > MOST then return fail('EFBIG', 'truncate') end
local old = length_of(attr)
if length > old and no_room(attr, length, tonumber(ARGV[11])) then return fail('ENOSPC', 'truncate') end
if length ~= old then
    local from, to = math.min(length, old), math.max(length, old)
    if ask_chunks(attr, from, to, 13) then return {'many', attr} end
    push_zeros(ino, from, to, 13)
    attr = grown(ino, attr, length)
    note('d', ino)
end
if string.find(how, 'k', 1, true) then attr = disarmed(attr) end
if length ~= old or not string.find(how, 'p', 1, true) then attr = put(attr, MTIME, NOW) end
attr = put(attr, CTIME, NOW)
call('SET', KEYS[3], attr)
note('a', ino)
return finish(seen(ino, attr))
