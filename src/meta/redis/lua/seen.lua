-- An inode's record as its users see it: a name in the trash is no link to them. On disk it counts as one.
local function seen(ino, record)
    if not record or #record < 71 then return record end
    local links, high, low = struct.unpack('>I4', record, 48), struct.unpack('>I4I4', record, 64)
    if high == 0x7fffffff and low > 0x10000000 then
        links = 0
    elseif high == 0 and low == 0 and math.floor(string.byte(record, 2) / 16) ~= 2 then
        local names = redis.call('HGETALL', 'p' .. ino)
        for i = 1, #names, 2 do
            if #names[i] == 19 then links = links - math.max(tonumber(names[i + 1]), 0) end
        end
        links = math.max(links, 0)
    else
        return record
    end
    return string.sub(record, 1, 47) .. struct.pack('>I4', links) .. string.sub(record, 52)
end
