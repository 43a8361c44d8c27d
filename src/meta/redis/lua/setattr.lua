-- uses prelude acl
-- Changes attributes: mode, owner, times, flags.
--   KEYS  i<ino>
--   ARGV  inode, uid of the caller, mode or '', uid or '', gid or '', atime or '', mtime or '' (12 bytes, or "now"),
--         flags or '', 1 to drop suid and sgid
--   reply attr      errors ENOENT EPERM ESTALE
if fenced() then return fail('ESTALE', 'setattr') end
local ino, caller = ARGV[9], tonumber(ARGV[10])
local mode, uid, gid = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local attr = call('GET', KEYS[3])
if not attr then return fail('ENOENT', 'setattr') end
local parent = parent_of(attr)
if is_trash(ino) or is_trash(parent) and parent ~= TRASH then return fail('EPERM', 'setattr') end
local before, old_mode, kind = attr, mode_of(attr), type_of(attr)
local new_mode = mode or old_mode
if (uid or gid) and bit.band(old_mode, 3072) ~= 0 then
    if mode then new_mode = bit.bor(new_mode, bit.band(old_mode, 3072)) end
    if kind ~= DIRECTORY then
        if caller ~= 0 or bit.band(old_mode, 8) ~= 0 then
            new_mode = bit.band(new_mode, bit.bnot(3072))
        else
            new_mode = bit.band(new_mode, bit.bnot(2048))
        end
    end
end
if ARGV[17] == '1' and kind ~= DIRECTORY then
    new_mode = bit.band(new_mode, bit.bnot(2048))
    if bit.band(new_mode, 8) ~= 0 then new_mode = bit.band(new_mode, bit.bnot(1024)) end
end
if new_mode ~= old_mode then
    if #attr >= 80 and u32(attr, 71) > 0 then attr, new_mode = acl_chmod(attr, new_mode) end
    attr = put(attr, MODE, struct.pack('>I2', kind * 4096 + new_mode))
end
if uid then attr = put_u32(attr, UID, uid) end
if gid then attr = put_u32(attr, GID, gid) end
if ARGV[14] ~= '' then attr = put(attr, ATIME, ARGV[14] == 'now' and NOW or ARGV[14]) end
if ARGV[15] ~= '' then attr = put(attr, MTIME, ARGV[15] == 'now' and NOW or ARGV[15]) end
if ARGV[16] ~= '' then attr = put(attr, 0, string.char(tonumber(ARGV[16]))) end
if attr == before and not (mode or uid or gid) then return attr end
attr = put(attr, CTIME, NOW)
call('SET', KEYS[3], attr)
note('a', ino)
return finish(attr)
