-- uses prelude locks ranges
-- Takes or drops a byte range. A record is type (0 read, 1 write, 2 drops) u32, pid u32, start and end (inclusive)
-- u64; an owner's are sorted, apart, and joined where neighbours have one type.
--   KEYS  lockp<ino>, locked<sid>, waiters, waiting      ARGV  inode, owner field, record, 1 when the caller will wait
--   reply the newest notice's id when it is done, 0 when another owner is in the way      errors EDEADLK ESTALE
if fenced() then return fail('ESTALE', 'plock') end
local ino, owner, wait = ARGV[9], ARGV[10], ARGV[12] == '1'

local function beside(position, step)
    local high, low = struct.unpack('>I4I4', position)
    low = low + step
    if low < 0 then high, low = high - 1, 4294967295 end
    if low > 4294967295 then high, low = high + 1, 0 end
    return struct.pack('>I4I4', high, low)
end

local new = parse(ARGV[11])[1]
local held, own = call('HGETALL', KEYS[3]), ''
for i = 1, #held, 2 do
    if held[i] == owner then own = held[i + 1] end
end
local others = new.kind == 2 and {} or blockers(held, owner, new)
if #others > 0 then
    if wait and wait_for(owner, others) then
        call('HDEL', KEYS[6], owner)
        return fail('EDEADLK', 'plock')
    end
    if wait then
        call('ZADD', KEYS[5], ARGV[5], ino)
        call('HSET', KEYS[6], owner, ino .. ARGV[11])
    end
    return 0
end
if wait then call('HDEL', KEYS[6], owner) end

local parts, right = {}, {}
for _, old in ipairs(parse(own)) do
    local kind, pid = old.kind, old.pid
    if before(old.first, new.first) then
        local last = before(old.last, new.first) and old.last or beside(new.first, -1)
        parts[#parts + 1] = {kind = kind, pid = pid, first = old.first, last = last}
    end
    if before(new.last, old.last) then
        local first = before(new.last, old.first) and old.first or beside(new.last, 1)
        right[#right + 1] = {kind = kind, pid = pid, first = first, last = old.last}
    end
end
if new.kind ~= 2 then parts[#parts + 1] = new end
for _, part in ipairs(right) do parts[#parts + 1] = part end
local joined = {}
for _, part in ipairs(parts) do
    local last = joined[#joined]
    if last and last.kind == part.kind and beside(last.last, 1) == part.first then
        last.last = part.last
    else
        joined[#joined + 1] = part
    end
end
local text = ''
for _, part in ipairs(joined) do
    text = text .. struct.pack('>I4I4', part.kind, part.pid) .. part.first .. part.last
end
keep_locks(text ~= '' and text or nil, own ~= '' and own or nil)
announce()
return newest_notice()
