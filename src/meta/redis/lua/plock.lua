-- uses prelude locks
-- Takes or drops a byte range. A range is 24 bytes: type (0 read, 1 write, 2 drops) u32, pid u32, start and end
-- (inclusive) u64; starts and ends are compared as bytes, for they reach 2^63 - 1.
--   KEYS  lockp<ino>, locked<sid>, waiters      ARGV  inode, owner field, range, 1 when the caller will wait
--   reply 1 when it is done, 0 when another owner is in the way      errors ESTALE
if fenced() then return fail('ESTALE', 'plock') end
local ino, owner, range = ARGV[9], ARGV[10], ARGV[11]
local kind = struct.unpack('>I4', range)
local first, last = string.sub(range, 9, 16), string.sub(range, 17, 24)

local function step(bound, by)
    local high, low = struct.unpack('>I4I4', bound)
    low = low + by
    if low < 0 then high, low = high - 1, low + 4294967296 end
    if low > 4294967295 then high, low = high + 1, low - 4294967296 end
    return struct.pack('>I4I4', high, low)
end

if kind ~= 2 then
    local held = call('HGETALL', KEYS[3])
    for i = 1, #held, 2 do
        for at = 1, held[i] ~= owner and #held[i + 1] or 0, 24 do
            local record = string.sub(held[i + 1], at, at + 23)
            local writes = kind == 1 or struct.unpack('>I4', record) == 1
            if writes and string.sub(record, 9, 16) <= last and string.sub(record, 17, 24) >= first then
                if ARGV[12] == '1' then call('ZADD', KEYS[5], ARGV[5], ino) end
                return 0
            end
        end
    end
end

local own, kept = call('HGET', KEYS[3], owner) or '', {}
for at = 1, #own, 24 do
    local head, from, to = string.sub(own, at, at + 7), string.sub(own, at + 8, at + 15), string.sub(own, at + 16, at + 23)
    if to < first or from > last then
        kept[#kept + 1] = {from, to, head}
    else
        if from < first then kept[#kept + 1] = {from, step(first, -1), head} end
        if to > last then kept[#kept + 1] = {step(last, 1), to, head} end
    end
end
if kind ~= 2 then kept[#kept + 1] = {first, last, string.sub(range, 1, 8)} end
table.sort(kept, function(a, b) return a[1] < b[1] end)
local merged = {}
for _, part in ipairs(kept) do
    local before = merged[#merged]
    if before and before[3] == part[3] and step(before[2], 1) == part[1] then
        before[2] = part[2]
    else
        merged[#merged + 1] = part
    end
end
local text = ''
for _, part in ipairs(merged) do text = text .. part[3] .. part[1] .. part[2] end
if text ~= '' then
    call('HSET', KEYS[3], owner, text)
    call('SADD', KEYS[4], KEYS[3])
elseif own ~= '' then
    call('HDEL', KEYS[3], owner)
    forget_key_without_locks(KEYS[3], KEYS[4])
end
if own ~= '' then wake_waiters(KEYS[5], ino) end
announce()
return 1
