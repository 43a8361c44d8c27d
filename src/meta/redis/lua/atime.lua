-- uses prelude seen
-- Notes that an inode was read. Relative: only where its last change is not older than what is noted, or that is a day old;
-- else where it is a second old.
--   KEYS  i<ino>      ARGV  inode, 1 for relative
--   reply attr        errors ENOENT ESTALE
if fenced() then return fail('ESTALE', 'atime') end
local attr = call('GET', KEYS[3])
if not attr then return fail('ENOENT', 'atime') end
local function at(offset)
    return unpack64(attr, offset + 1) + u32(attr, offset + 8) / 1e9
end
local now, known = NOW_SEC + NOW_NSEC / 1e9, at(ATIME)
local due = now - known >= 1
if ARGV[10] == '1' then due = known <= at(MTIME) or known <= at(CTIME) or now - known >= 86400 end
if due then
    attr = put(attr, ATIME, NOW)
    call('SET', KEYS[3], attr)
    note('a', ARGV[9])
end
return finish(seen(ARGV[9], attr))
