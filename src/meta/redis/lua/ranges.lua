-- Byte ranges of locks, and who waits for whom. Stands behind prelude.lua and locks.lua.
--   KEYS  6 waiting: what each owner waits for, inode and record

-- Positions stay eight bytes, for they reach 2^63 - 1; text compares by the server's locale, so not as text.
local function before(a, b)
    local a_high, a_low = struct.unpack('>I4I4', a)
    local b_high, b_low = struct.unpack('>I4I4', b)
    return a_high < b_high or a_high == b_high and a_low < b_low
end

local function parse(text)
    local records = {}
    for at = 1, #text - 23, 24 do
        local kind, pid = struct.unpack('>I4I4', text, at)
        local first, last = string.sub(text, at + 8, at + 15), string.sub(text, at + 16, at + 23)
        records[#records + 1] = {kind = kind, pid = pid, first = first, last = last}
    end
    return records
end

local function in_the_way(new, records)
    for _, other in ipairs(records) do
        local apart = before(other.last, new.first) or before(new.last, other.first)
        if not apart and (other.kind ~= 0 or new.kind ~= 0) then return true end
    end
    return false
end

-- The owners among those of a hash who keep `owner` from having `new`.
local function blockers(held, owner, new)
    local found = {}
    for i = 1, #held, 2 do
        if held[i] ~= owner and in_the_way(new, parse(held[i + 1])) then found[#found + 1] = held[i] end
    end
    return found
end

-- True when one of `owners` waits, perhaps through others, for what `owner` holds. What somebody entered may be long over,
-- so it is looked at whether he is kept waiting still.
local function wait_for(owner, owners)
    local seen, at = {}, 1
    while at <= #owners and at <= 100 do
        local other = owners[at]
        if other == owner then return true end
        local wanted = not seen[other] and call('HGET', KEYS[6], other)
        seen[other] = true
        if wanted then
            local held = call('HGETALL', 'lockp' .. string.sub(wanted, 1, -25))
            for _, next in ipairs(blockers(held, other, parse(string.sub(wanted, -24))[1])) do
                owners[#owners + 1] = next
            end
        end
        at = at + 1
    end
    return false
end
