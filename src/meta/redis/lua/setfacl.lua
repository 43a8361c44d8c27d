-- uses prelude acl seen
-- Sets or removes the ACL of an inode, the one it is checked by or the one that a directory hands on.
--   KEYS  i<ino>      ARGV  inode, "access" or "default", rule ('' for none), uid of the caller, his
--         groups, each behind a comma
--   reply attr        errors ENOENT EPERM EACCES ESTALE
if fenced() then return fail('ESTALE', 'setfacl') end
local ino, access, rule, caller = ARGV[9], ARGV[10] == 'access', ARGV[11], tonumber(ARGV[12])
local attr = call('GET', KEYS[3])
if not attr then return fail('ENOENT', 'setfacl') end
if is_trash(ino) or locked_by_flags(attr) then return fail('EPERM', 'setfacl') end
if caller ~= 0 and caller ~= u32(attr, UID) then return fail('EPERM', 'setfacl') end
if not access and type_of(attr) ~= DIRECTORY then
    if rule ~= '' then return fail('EACCES', 'setfacl') end
    return seen(ino, attr)
end
local before, mode, id = attr, mode_of(attr), 0
local now = {access_acl_id(attr), default_acl_id(attr)}
if rule ~= '' then
    -- What the rule leaves open is as the mode has it.
    local shifts = {[0] = 64, [1] = 8, [3] = 1}
    for part, shift in pairs(shifts) do
        if acl_part(rule, part) == ABSENT then rule = acl_put(rule, part, math.floor(mode / shift) % 8) end
    end
    if access then
        -- As posix_acl_update_mode(): a mode that somebody outside the group sets has no sgid.
        local member = caller == 0 or string.find(ARGV[13] .. ',', ',' .. dec(u32(attr, GID)) .. ',', 1, true)
        if not member then mode = bit.band(mode, bit.bnot(1024)) end
        local group = acl_part(rule, acl_is_minimal(rule) and 1 or 2)
        mode = mode - mode % 512 + acl_part(rule, 0) * 64 + group * 8 + acl_part(rule, 3)
    end
    if not access or not acl_is_minimal(rule) then id = acl_id(rule) end
end
attr = with_acls(attr, access and id or now[1], access and now[2] or id)
attr = put(attr, MODE, struct.pack('>I2', type_of(attr) * 4096 + mode))
if attr == before then return seen(ino, attr) end
attr = put(attr, CTIME, NOW)
call('SET', KEYS[3], attr)
note('a', ino)
return finish(seen(ino, attr))
