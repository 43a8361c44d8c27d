-- uses prelude acl seen
-- Changes attributes: mode, owner, times, flags.
--   KEYS  i<ino>
--   ARGV  inode, uid of the caller, mode or '', uid or '', gid or '', atime or '', mtime or '' (12 bytes, or "now"),
--         flags or '', how: "k" drops suid and sgid, "c" is a chown that changes no owner, "o" the file is open here; the
--         caller's groups, each behind a comma
--   reply attr      errors ENOENT EPERM ESTALE
if fenced() then return fail('ESTALE', 'setattr') end
local ino, caller, how = ARGV[9], tonumber(ARGV[10]), ARGV[17]
local mode, uid, gid, atime, mtime = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13]), ARGV[14], ARGV[15]
local attr = call('GET', KEYS[3])
if not attr then return fail('ENOENT', 'setattr') end
if is_trash(ino) or lies_in_trash(attr) and not string.find(how, 'o', 1, true) then return fail('EPERM', 'setattr') end
-- As notify_change(): who cannot write a file because of its flags cannot change it, but its times may become now.
local touch = atime == 'now' and mtime == 'now'
local fixed = mode or uid or gid or (atime ~= '' or mtime ~= '') and not touch
if has_flag(attr, IMMUTABLE) and (fixed or touch) or has_flag(attr, APPEND) and fixed then return fail('EPERM', 'setattr') end

-- A program whose owner changes grants nothing any more; sgid without the group's x bit is no program's.
local function after_chown(wanted, old, kind)
    if mode then wanted = bit.bor(wanted, bit.band(old, 3072)) end
    if kind == DIRECTORY then return wanted end
    local member = caller == 0 or string.find(ARGV[18] .. ',', ',' .. dec(u32(attr, GID)) .. ',', 1, true)
    if bit.band(old, 8) ~= 0 or not member then return bit.band(wanted, bit.bnot(3072)) end
    return bit.band(wanted, bit.bnot(2048))
end

local before, old_mode, kind = attr, mode_of(attr), type_of(attr)
local new_mode = mode or old_mode
-- The kernel asks as for a chown of nothing before a write too, by whoever writes: what that takes away comes with the write.
local same = string.find(how, 'c', 1, true) and (caller == 0 or caller == u32(attr, UID))
if (uid or gid or same) and bit.band(old_mode, 3072) ~= 0 then new_mode = after_chown(new_mode, old_mode, kind) end
if string.find(how, 'k', 1, true) and kind ~= DIRECTORY then new_mode = harmless(new_mode) end
if new_mode ~= old_mode then
    if #attr >= 80 and u32(attr, 71) > 0 then attr, new_mode = acl_chmod(attr, new_mode) end
    attr = put(attr, MODE, struct.pack('>I2', kind * 4096 + new_mode))
end
if uid then attr = put_u32(attr, UID, uid) end
if gid then attr = put_u32(attr, GID, gid) end
if atime ~= '' then attr = put(attr, ATIME, atime == 'now' and NOW or atime) end
if mtime ~= '' then attr = put(attr, MTIME, mtime == 'now' and NOW or mtime) end
if ARGV[16] ~= '' then attr = put(attr, 0, string.char(tonumber(ARGV[16]))) end
if attr == before and not fixed and not touch then return seen(ino, attr) end
attr = put(attr, CTIME, NOW)
call('SET', KEYS[3], attr)
note('a', ino)
return finish(seen(ino, attr))
