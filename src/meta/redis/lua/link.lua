-- uses prelude seen
-- Gives a file one more name.
--   KEYS  d<parent>, i<parent>, i<ino>, p<ino>, session<sid>, allSessions
--   ARGV  parent, name, inode
--   reply {attr, parent's attr}    errors ENOENT ENOTDIR EEXIST EPERM EMLINK ESTALE
if fenced() then return fail('ESTALE', 'link') end
local parent, name, ino = ARGV[9], ARGV[10], ARGV[11]
local dir, attr = call('GET', KEYS[4]), call('GET', KEYS[5])
if not dir or not attr then return fail('ENOENT', 'link') end
if type_of(dir) ~= DIRECTORY then return fail('ENOTDIR', 'link') end
if is_trash(parent) then return fail('EPERM', 'link') end
if is_trash(parent_of(dir)) then return fail('ENOENT', 'link') end
if has_flag(dir, IMMUTABLE) or type_of(attr) == DIRECTORY or locked_by_flags(attr) then
    return fail('EPERM', 'link')
end
-- A file that its session keeps without a name may get one: whether it is one of O_TMPFILE the kernel knows.
local nameless = u32(attr, NLINK) == 0
if nameless and call('SISMEMBER', KEYS[7], ino) == 0 then return fail('ENOENT', 'link') end
if u32(attr, NLINK) >= 4294967294 then return fail('EMLINK', 'link') end
if call('HEXISTS', KEYS[3], name) == 1 then return fail('EEXIST', 'link') end

local length = type_of(attr) == FILE and length_of(attr) or 0
count_children(parent, length, align4k(length), 1)
call('HSET', KEYS[3], name, string.char(type_of(attr)) .. ino_bytes(ino))
local old = parent_of(attr)
attr = put_u32(put(attr, CTIME, NOW), NLINK, u32(attr, NLINK) + 1)
attr = put(attr, PARENT, ino_bytes(nameless and parent or '0'))
call('SET', KEYS[5], attr)
if nameless then
    -- Other sessions that have it open keep it no more: whoever cleans up after one would delete it with its new name.
    for _, sid in ipairs(call('ZRANGE', KEYS[8], 0, -1)) do call('SREM', 'session' .. sid, ino) end
    call('SREM', KEYS[7], ino)
else
    if old ~= '0' then call('HINCRBY', KEYS[6], old, 1) end
    call('HINCRBY', KEYS[6], parent, 1)
end
local changed
dir, changed = touched(dir, false)
if changed then
    call('SET', KEYS[4], dir)
    note('a', parent)
end
note('a', ino)
note_entry(parent, name)
return finish({seen(ino, attr), dir})
