-- What the scripts share that change the contents of files. Stands behind prelude.lua.
local CHUNK, MOST = 67108864, 9007199254740991

-- True when the volume has no room for a file to grow to `length`.
local function no_room(attr, length, most)
    if most == 0 then return false end
    local more = align4k(length) - align4k(length_of(attr))
    return more > 0 and tonumber(call('GET', 'usedSpace') or 0) + more > most
end

-- A file with another length; what it counts for in the volume and its directory follows. Without a name it lies in none.
local function grown(ino, attr, length)
    local old = length_of(attr)
    if length == old then return attr end
    local space = align4k(length) - align4k(old)
    if space ~= 0 then call('INCRBY', 'usedSpace', dec(space)) end
    local parent = parent_of(attr)
    if u32(attr, NLINK) == 0 then
        return put(attr, LENGTH, pack64(length))
    elseif parent ~= '0' then
        count_children(parent, length - old, space, 0)
    else
        local links = call('HGETALL', 'p' .. ino)
        for i = 1, #links, 2 do
            local n = tonumber(links[i + 1])
            if n > 0 then count_children(links[i], (length - old) * n, space * n, 0) end
        end
    end
    return put(attr, LENGTH, pack64(length))
end

local function chunk_key(ino, index)
    return 'c' .. ino .. '_' .. dec(index)
end

-- Pushes a record to the place `offset` of a file; at a chunk's border it becomes two. Answers how many records the last
-- chunk has then, and how many were pushed.
local function push_at(ino, offset, record)
    local _, high, low, size, off, length = struct.unpack('>I4I4I4I4I4I4', record)
    local count, pieces = 0, 0
    while length > 0 do
        local index = math.floor(offset / CHUNK)
        local pos = offset - index * CHUNK
        local part = math.min(length, CHUNK - pos)
        count = call('RPUSH', chunk_key(ino, index), struct.pack('>I4I4I4I4I4I4', pos, high, low, size, off, part))
        pieces, offset, off, length = pieces + 1, offset + part, off + part, length - part
    end
    return count, pieces
end

local function hole(pos, length)
    return struct.pack('>I4I4I4I4I4I4', pos, 0, 0, 0, 0, length)
end

-- True where a range spans so many chunks that the caller has to say which of them there are. He answers with the record that he
-- was given and the chunks, from ARGV[at] on; a file that was changed since is looked at once more.
local function ask_chunks(attr, from, to, at)
    return math.floor(to / CHUNK) - math.floor(from / CHUNK) > 10000 and ARGV[at] ~= attr
end

-- Zeros in [from, to): a record in the first and the last chunk, in those between only where something lies; `at` as above.
local function push_zeros(ino, from, to, at)
    local first, last = math.floor(from / CHUNK), math.floor(to / CHUNK)
    local pos = from - first * CHUNK
    call('RPUSH', chunk_key(ino, first), hole(pos, math.min(to - from, CHUNK - pos)))
    if last == first then return end
    if ARGV[at] then
        for i = at + 1, #ARGV do
            local index = tonumber(ARGV[i])
            if index > first and index < last then call('RPUSHX', chunk_key(ino, index), hole(0, CHUNK)) end
        end
    else
        for index = first + 1, last - 1 do
            call('RPUSHX', chunk_key(ino, index), hole(0, CHUNK))
        end
    end
    if to > last * CHUNK then call('RPUSH', chunk_key(ino, last), hole(0, to - last * CHUNK)) end
end
