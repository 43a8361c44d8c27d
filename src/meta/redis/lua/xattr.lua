-- uses prelude seen
-- Sets or removes an extended attribute; the change is one of the inode's status.
--   KEYS  x<ino>, i<ino>      ARGV  inode, name, "set" or "remove", value, flags (1 create, 2 replace)
--   reply attr        errors ENOENT EPERM EEXIST ENODATA ESTALE
if fenced() then return fail('ESTALE', 'xattr') end
local ino, name, flags = ARGV[9], ARGV[10], tonumber(ARGV[13])
local attr = call('GET', KEYS[4])
if not attr then return fail('ENOENT', 'xattr') end
if locked_by_flags(attr) then return fail('EPERM', 'xattr') end
local there = call('HEXISTS', KEYS[3], name) == 1
if ARGV[11] == 'remove' then
    if not there then return fail('ENODATA', 'removexattr') end
    call('HDEL', KEYS[3], name)
else
    if there and flags == 1 then return fail('EEXIST', 'setxattr') end
    if not there and flags == 2 then return fail('ENODATA', 'setxattr') end
    call('HSET', KEYS[3], name, ARGV[12])
end
attr = put(attr, CTIME, NOW)
call('SET', KEYS[4], attr)
note('a', ino)
note('x', ino)
return finish(seen(ino, attr))
