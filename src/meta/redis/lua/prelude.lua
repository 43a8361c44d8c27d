-- What every changing script shares. It stands before the script's own text; the script's own keys begin at
-- KEYS[3], its own arguments at ARGV[9].
--   KEYS[1] answers<sid>: generation and reply slots      KEYS[2] notices: stream of announcements
--   ARGV    1 generation  2 slot  3 number  4 session  5 seconds  6 nanoseconds of now  7 channel  8 options
-- Everything is checked before anything is written: there is no way back in Redis.
local call = redis.call
local SID, NOW_SEC, NOW_NSEC = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local DIR_STATS = string.find(ARGV[8], 'd', 1, true) ~= nil
local SKIP_DIR_MTIME = tonumber(string.match(ARGV[8], 't(%d+)') or 0) / 1000
local TRASH = '9223372032828243968'
local FILE, DIRECTORY, SYMLINK = 1, 2, 3
local notes = {}

-- A refusal the caller knows by its errno. The second word keeps Redis from prefixing "ERR".
local function fail(errno, action)
    return {err = errno .. ' ' .. action}
end

-- Prints a number as Redis and keys want it: '..' alone writes 1e+14.
local function dec(n)
    return string.format('%.0f', n)
end

-- A double as eight bytes; negative seconds too.
local function pack64(n)
    local high = math.floor(n / 4294967296)
    return struct.pack('>i4I4', high, n - high * 4294967296)
end

local function unpack64(bytes, at)
    local high, low = struct.unpack('>i4I4', bytes, at)
    return high * 4294967296 + low
end

-- The inode number at `at` in decimal; folders of the trash lie where doubles have no last digits.
local function ino_at(bytes, at)
    local high, low = struct.unpack('>I4I4', bytes, at)
    if high == 0x7fffffff and low >= 0x10000000 then
        return '9223372032' .. string.format('%09d', 828243968 + low - 0x10000000)
    end
    return dec(high * 4294967296 + low)
end

-- The eight bytes of an inode number in decimal.
local function ino_bytes(ino)
    if #ino == 19 then
        return struct.pack('>I4I4', 0x7fffffff, tonumber(string.sub(ino, 11)) - 828243968 + 0x10000000)
    end
    return pack64(tonumber(ino))
end

local function is_trash(ino)
    return #ino == 19
end

-- Attribute records: offsets of the format, counted from 0.
local MODE, UID, GID, ATIME, MTIME, CTIME, NLINK, LENGTH, PARENT = 1, 3, 7, 11, 23, 35, 47, 51, 63

local function put(record, at, bytes)
    return string.sub(record, 1, at) .. bytes .. string.sub(record, at + #bytes + 1)
end

local function u32(record, at)
    return (struct.unpack('>I4', record, at + 1))
end

local function put_u32(record, at, n)
    return put(record, at, struct.pack('>I4', n))
end

local function type_of(record)
    return math.floor((struct.unpack('>I2', record, MODE + 1)) / 4096)
end

local function mode_of(record)
    return (struct.unpack('>I2', record, MODE + 1)) % 4096
end

local function length_of(record)
    return unpack64(record, LENGTH + 1)
end

-- The earliest releases wrote records that end before it: then it is looked for in p<ino>, as for several links.
local function parent_of(record)
    return #record >= PARENT + 8 and ino_at(record, PARENT + 1) or '0'
end

-- True for what was removed: it lies in an hour's folder.
local function lies_in_trash(record)
    local parent = parent_of(record)
    return is_trash(parent) and parent ~= TRASH
end

local function has_flag(record, flag)
    return math.floor(string.byte(record, 1) / flag) % 2 == 1
end

local IMMUTABLE, APPEND, SKIP_TRASH = 1, 2, 32

local function locked_by_flags(record)
    return has_flag(record, IMMUTABLE) or has_flag(record, APPEND)
end

-- A mode after a write by somebody who may not keep what it grants: no suid, and no sgid on a program.
local function harmless(mode)
    mode = bit.band(mode, bit.bnot(2048))
    if bit.band(mode, 8) ~= 0 then mode = bit.band(mode, bit.bnot(1024)) end
    return mode
end

-- The same for a file's record.
local function disarmed(record)
    return put(record, MODE, struct.pack('>I2', FILE * 4096 + harmless(mode_of(record))))
end

local NOW = pack64(NOW_SEC) .. struct.pack('>I4', NOW_NSEC)

local function align4k(length)
    if length == 0 then return 4096 end
    return math.ceil(length / 4096) * 4096
end

-- A parent with the times of a change in it; unless forced not where its last one is as young as the mount wants to skip.
local function touched(parent, forced)
    if SKIP_DIR_MTIME > 0 and not forced then
        local age = NOW_SEC - unpack64(parent, MTIME + 1) + (NOW_NSEC - u32(parent, MTIME + 8)) / 1e9
        if age < SKIP_DIR_MTIME and age >= 0 then return parent, false end
    end
    return put(put(parent, MTIME, NOW), CTIME, NOW), true
end

-- What others must know: attributes 'a', data 'd' or only where it lies 'c', extended attributes 'x', a dropped lock 'l',
-- a lost last name 'u' of an inode, a new one 'n'; an entry 'e'. Every key i, d, c, x<ino> that a script writes is to be told, or
-- mounts that hold something of it take it for the change of a client that announces nothing.
local function note(kind, ino)
    notes[#notes + 1] = kind .. ino_bytes(ino)
end

local function note_entry(parent, name)
    notes[#notes + 1] = 'e' .. ino_bytes(parent) .. string.char(#name) .. name
end

-- A sticky directory lets only root, its owner and a file's owner take names away.
local function sticky_forbids(dir, attr, uid)
    return math.floor(mode_of(dir) / 512) % 2 == 1 and uid ~= 0
        and uid ~= u32(dir, UID) and uid ~= u32(attr, UID)
end

-- Announces what changed. Publishing comes last and may be forbidden: nothing may fail behind the writes.
local function announce()
    if #notes == 0 then return end
    local text = ino_bytes(SID) .. table.concat(notes)
    local id = call('XADD', KEYS[2], 'MAXLEN', '~', '50000', '*', 'n', text)
    redis.pcall('PUBLISH', ARGV[7], id .. ' ' .. text)
end

-- True when another process or connection has taken the session over: nothing may be changed then.
local function fenced()
    return SID ~= '0' and call('HGET', KEYS[1], 'gen') ~= ARGV[1]
end

-- Ends a change: keeps its answer, announces it.
local function finish(reply)
    if SID ~= '0' then
        call('HSET', KEYS[1], ARGV[2], cmsgpack.pack({ARGV[3], reply}))
    end
    announce()
    return reply
end

-- A new directory has nothing in it.
local function begin_statistics(dir)
    for _, key in ipairs({'dirDataLength', 'dirUsedSpace', 'dirUsedInodes'}) do call('HSET', key, dir, 0) end
end

-- Counts a change of a directory's direct children, where the directory has statistics.
-- A row that is missing is recounted by whoever needs it; one of a directory still empty is begun.
local function count_children(dir, length, space, inodes)
    if not DIR_STATS then return end
    if call('HEXISTS', 'dirUsedInodes', dir) == 0 then
        if inodes ~= 1 or call('EXISTS', 'd' .. dir) == 1 then return end
        begin_statistics(dir)
    end
    if length ~= 0 then call('HINCRBY', 'dirDataLength', dir, dec(length)) end
    if space ~= 0 then call('HINCRBY', 'dirUsedSpace', dir, dec(space)) end
    if inodes ~= 0 then call('HINCRBY', 'dirUsedInodes', dir, dec(inodes)) end
end
