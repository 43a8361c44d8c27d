-- What the scripts share that change locks. Stands behind prelude.lua.

-- Tells those who wait for a lock of the inode, wherever they are, that it is worth another try. Whoever fails again
-- enters himself again, so that one who died waiting costs one notice.
local function wake_waiters(waiters, ino)
    if call('ZREM', waiters, ino) == 1 then note('l', ino) end
end

-- Where this session holds no lock of the key any more, its record of such keys forgets it.
local function forget_key_without_locks(key, locked)
    for _, field in ipairs(call('HKEYS', key)) do
        if string.sub(field, 1, #SID + 1) == SID .. '_' then return end
    end
    call('SREM', locked, key)
end
