-- POSIX ACLs: rules are shared records `acl` <id>. Stands behind prelude.lua.
--   rule: owner u16, group u16, mask u16, other u16, then named users and groups (JuiceFS pkg/acl, 1.4)
local ABSENT = 65535

local function acl_part(rule, index)
    return (struct.unpack('>I2', rule, index * 2 + 1))
end

local function acl_put(rule, index, value)
    return put(rule, index * 2, struct.pack('>I2', value))
end

-- The id of a rule: of an equal one that exists, or a new one.
local function acl_id(rule)
    local known = call('HGETALL', 'acl')
    for i = 1, #known, 2 do
        if known[i + 1] == rule then return tonumber(known[i]) end
    end
    local id = call('INCR', 'aclMaxId')
    call('HSET', 'acl', id, rule)
    return id
end

local function access_acl_id(record)
    return #record >= 80 and u32(record, 71) or 0
end

local function default_acl_id(dir)
    return #dir >= 80 and u32(dir, 75) or 0
end

local function tier_of(record)
    local at = #record >= 80 and 80 or 72
    return #record > at and string.byte(record, at) or 0
end

-- A record with other ACL ids; without any it has its short form.
local function with_acls(record, access, default)
    local tier = tier_of(record)
    local ids = access + default > 0 and struct.pack('>I4I4', access, default) or ''
    return string.sub(record, 1, 71) .. ids .. (tier > 0 and string.char(tier) or '') .. '\0'
end

-- The rule that new inodes in a directory inherit, or nil.
local function default_acl(dir)
    local id = default_acl_id(dir)
    return id > 0 and call('HGET', 'acl', dec(id)) or nil
end

local function acl_is_minimal(rule)
    return acl_part(rule, 2) == ABSENT and #rule == 16
end

-- Mode and access ACL id of an inode made under a default rule. The umask plays no part.
local function acl_mode(rule, mode)
    local owner, group, other = math.floor(mode / 64) % 8, math.floor(mode / 8) % 8, mode % 8
    local special = mode - mode % 512
    owner, other = bit.band(owner, acl_part(rule, 0)), bit.band(other, acl_part(rule, 3))
    if acl_is_minimal(rule) then
        return special + owner * 64 + bit.band(group, acl_part(rule, 1)) * 8 + other, 0
    end
    local mask = bit.band(group, acl_part(rule, 2))
    local own = acl_put(acl_put(acl_put(rule, 0, owner), 2, mask), 3, other)
    return special + owner * 64 + mask * 8 + other, acl_id(own)
end

-- chmod of an inode with an access ACL: the rule follows the mode.
local function acl_chmod(attr, mode)
    local rule = call('HGET', 'acl', dec(u32(attr, 71)))
    if not rule then return attr, mode end
    rule = acl_put(acl_put(rule, 0, math.floor(mode / 64) % 8), 3, mode % 8)
    local index = acl_part(rule, 2) == ABSENT and 1 or 2
    rule = acl_put(rule, index, math.floor(mode / 8) % 8)
    return put_u32(attr, 71, acl_id(rule)), mode
end
