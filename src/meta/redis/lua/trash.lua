-- The trash and the end of inodes: shared by the scripts that remove or replace. Stands behind prelude.lua.

-- The folder of the current hour, made when it is missing. `hour`: its name.
local function trash_folder(hour)
    local record = call('HGET', 'd' .. TRASH, hour)
    if record then return ino_at(record, 2) end
    local number = call('INCR', 'nextTrash')
    local ino = '9223372032' .. string.format('%09d', 828243968 + number)
    call('SET', 'i' .. ino, struct.pack('>BI2I4I4', 0, DIRECTORY * 4096 + 365, 0, 0) .. NOW .. NOW .. NOW
        .. struct.pack('>I4', 2) .. pack64(4096) .. struct.pack('>I4', 0) .. ino_bytes(TRASH) .. '\0')
    call('HSET', 'd' .. TRASH, hour, string.char(DIRECTORY) .. ino_bytes(ino))
    begin_statistics(ino)
    call('INCRBY', 'usedSpace', 4096)
    call('INCR', 'totalInodes')
    note_entry(TRASH, hour)
    return ino
end

-- What an inode counts for in its directory: bytes, space, one inode.
local function weight(attr)
    local length = type_of(attr) == FILE and length_of(attr) or 0
    return length, align4k(length)
end

-- A directory is gone: what was counted for it and its quota go too.
local function forget_directory(ino)
    for _, key in ipairs({'dirDataLength', 'dirUsedSpace', 'dirUsedInodes', 'dirQuota', 'dirQuotaUsedSpace', 'dirQuotaUsedInodes'}) do
        call('HDEL', key, ino)
    end
end

-- Somebody else may have it open: an inode without a name is kept for a grace by the session that removed it.
local GRACE = string.find(ARGV[8], 'g', 1, true) ~= nil

-- Takes one name's link from an inode. `to_trash`: hour's name, or '' to delete. `open`: held open by the session that removes it.
-- Answers the attributes that are left, the length of data to delete or -1, and 1 where the inode is gone.
local function drop_link(parent, name, ino, attr, to_trash, open)
    local single = parent_of(attr) ~= '0'
    local links, kind = u32(attr, NLINK), type_of(attr)
    local length, space = weight(attr)
    count_children(parent, -length, -space, -1)
    note('a', ino)
    attr = put(attr, CTIME, NOW)
    if to_trash ~= '' then
        local entry = string.sub(parent .. '-' .. ino .. '-' .. name, 1, 255)
        local folder = trash_folder(to_trash)
        if kind == DIRECTORY or links == 1 or call('HEXISTS', 'd' .. folder, entry) == 0 then
            call('HSET', 'd' .. folder, entry, string.char(kind) .. ino_bytes(ino))
            if single then
                attr = put(attr, PARENT, ino_bytes(folder))
            else
                call('HINCRBY', 'p' .. ino, folder, 1)
                call('HINCRBY', 'p' .. ino, parent, -1)
            end
            call('SET', 'i' .. ino, attr)
            count_children(folder, length, space, 1)
            return attr, -1, 0
        end
    end
    if kind ~= DIRECTORY and links > 1 then
        attr = put_u32(attr, NLINK, links - 1)
        call('SET', 'i' .. ino, attr)
        if not single then call('HINCRBY', 'p' .. ino, parent, -1) end
        return attr, -1, 0
    end
    attr = put_u32(attr, NLINK, 0)
    if kind == FILE and (open or GRACE) then
        note('u', ino)
        call('SET', 'i' .. ino, attr)
        call('SADD', 'session' .. SID, ino)
        call('DEL', 'p' .. ino)
        return attr, -1, 0
    end
    call('DEL', 'i' .. ino, 'x' .. ino, 'p' .. ino, 's' .. ino)
    call('INCRBY', 'usedSpace', dec(-space))
    call('DECR', 'totalInodes')
    if kind ~= FILE then return attr, -1, 1 end
    call('ZADD', 'delfiles', ARGV[5], ino .. ':' .. dec(length))
    return attr, length, 1
end
