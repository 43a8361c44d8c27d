-- What only rename needs. Stands behind prelude.lua, trash.lua, acl.lua and inode.lua.

-- True when directory `ino` is `ancestor` or lies below it.
local function below(ino, ancestor)
    while ino ~= '1' and ino ~= '0' and not is_trash(ino) do
        if ino == ancestor then return true end
        local attr = call('GET', 'i' .. ino)
        if not attr then return false end
        ino = parent_of(attr)
    end
    return false
end

-- An inode that changes its directory: times, parent, statistics.
local function moved(attr, ino, links_key, from, to)
    attr = put(attr, CTIME, NOW)
    if from ~= to then
        if parent_of(attr) ~= '0' then
            attr = put(attr, PARENT, ino_bytes(to))
        else
            call('HINCRBY', links_key, to, 1)
            call('HINCRBY', links_key, from, -1)
        end
        local length, space = weight(attr)
        count_children(from, -length, -space, -1)
        count_children(to, length, space, 1)
    end
    call('SET', 'i' .. ino, attr)
    note('a', ino)
    return attr
end

-- RENAME_WHITEOUT: a character device 0:0 stands where the name was.
local function leave_whiteout(parent, name, dir, ino, uid, gid)
    local record = new_record(dir, {
        kind = 6, mode = 0, umask = 0, uid = uid, gid = gid, rdev = 0, length = 0, parent = parent, links = 1,
    })
    call('SET', 'i' .. ino, record)
    call('HSET', 'd' .. parent, name, string.char(6) .. ino_bytes(ino))
    count_children(parent, 0, 4096, 1)
    count_inode()
    return record
end

-- A directory in which names changed; `links`: sub-directories more or fewer.
local function retouch(ino, key, dir, links)
    if is_trash(ino) then return dir end
    local changed
    dir, changed = touched(dir, links ~= 0)
    if links ~= 0 then dir = put_u32(dir, NLINK, u32(dir, NLINK) + links) end
    if changed then
        call('SET', key, dir)
        note('a', ino)
    end
    return dir
end
