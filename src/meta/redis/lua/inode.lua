-- New inodes. Stands behind prelude.lua and acl.lua.

-- ENOSPC's reason: the volume has no room for one more inode. Limits of 0 are none.
local function volume_full(most_bytes, most_inodes)
    return most_bytes > 0 and tonumber(call('GET', 'usedSpace') or 0) + 4096 > most_bytes
        or most_inodes > 0 and tonumber(call('GET', 'totalInodes') or 0) + 1 > most_inodes
end

-- The record of what is made in a directory, with what it takes from there: group, ACLs, flags.
--   node: kind, mode as it was asked for, umask, uid, gid, rdev, length, parent, links
local function new_record(dir, node)
    local kind, mode, gid, access, inherited = node.kind, node.mode, node.gid, 0, 0
    local rule = kind ~= SYMLINK and default_acl(dir)
    if rule then
        mode, access = acl_mode(rule, mode)
        if kind == DIRECTORY then inherited = default_acl_id(dir) end
    else
        mode = bit.band(mode, bit.bnot(node.umask))
    end
    if bit.band(mode_of(dir), 1024) ~= 0 then
        gid = u32(dir, GID)
        if kind == DIRECTORY then mode = bit.bor(mode, 1024) end
    end
    local flags = has_flag(dir, SKIP_TRASH) and SKIP_TRASH or 0
    local record = struct.pack('>BI2I4I4', flags, kind * 4096 + mode, node.uid, gid) .. NOW .. NOW .. NOW
        .. struct.pack('>I4', node.links) .. pack64(node.length) .. struct.pack('>I4', node.rdev) .. ino_bytes(node.parent)
    if access > 0 or inherited > 0 then record = record .. struct.pack('>I4I4', access, inherited) end
    local tier = tier_of(dir)
    if tier > 0 then record = record .. string.char(tier) end
    return record .. '\0'
end

-- One more inode in the volume.
local function count_inode()
    call('INCRBY', 'usedSpace', 4096)
    call('INCR', 'totalInodes')
end
