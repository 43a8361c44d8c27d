-- uses seen
-- The attributes of many inodes.
--   KEYS   i<ino> ...   ARGV   inodes
--   reply  {attr or false, ...}
local attrs = {}
for from = 1, #KEYS, 1000 do
    local some = redis.call('MGET', unpack(KEYS, from, math.min(from + 999, #KEYS)))
    for i = 1, #some do attrs[#attrs + 1] = seen(ARGV[from + i - 1], some[i]) end
end
return attrs
