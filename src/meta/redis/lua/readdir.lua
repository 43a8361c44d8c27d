-- uses seen
-- A batch of a directory's entries, with their attributes.
--   KEYS   d<ino>   ARGV   cursor, how many about, 1 with attributes
--   reply  {cursor, {name, entry, name, entry, ...}, {attr or false, ...}}
local scan = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local found, attrs = scan[2], {}
if ARGV[3] == '1' then
    local keys = {}
    for i = 2, #found, 2 do
        local high, low = struct.unpack('>I4I4', found[i], 2)
        local ino = string.format('%.0f', high * 4294967296 + low)
        if high == 0x7fffffff and low >= 0x10000000 then
            ino = '9223372032' .. string.format('%09d', 828243968 + low - 0x10000000)
        end
        keys[#keys + 1] = 'i' .. ino
    end
    for from = 1, #keys, 1000 do
        local some = redis.call('MGET', unpack(keys, from, math.min(from + 999, #keys)))
        for i = 1, #some do attrs[#attrs + 1] = seen(string.sub(keys[from + i - 1], 2), some[i]) end
    end
end
return {scan[1], found, attrs}
