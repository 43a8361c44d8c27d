-- uses prelude
-- Sets or removes an extended attribute.
--   KEYS  x<ino>      ARGV  inode, name, "set" or "remove", value, flags (1 create, 2 replace)
--   reply "OK"        errors EEXIST ENODATA ESTALE
if fenced() then return fail('ESTALE', 'xattr') end
local ino, name, flags = ARGV[9], ARGV[10], tonumber(ARGV[13])
local there = call('HEXISTS', KEYS[3], name) == 1
if ARGV[11] == 'remove' then
    if not there then return fail('ENODATA', 'removexattr') end
    call('HDEL', KEYS[3], name)
else
    if there and flags == 1 then return fail('EEXIST', 'setxattr') end
    if not there and flags == 2 then return fail('ENODATA', 'setxattr') end
    call('HSET', KEYS[3], name, ARGV[12])
end
note('x', ino)
return finish('OK')
