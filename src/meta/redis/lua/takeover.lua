-- Takes a session over: nobody who took it before can change anything from now on. A server that lost what was last written
-- to it, as one without `appendonly` does in a crash, is not to give out numbers again that are in use.
--   KEYS  answers<sid>, setting, nextsession, nextinode, nextchunk      ARGV  the highest number in use of each of the last three
--   reply {generation, {{number, answer}, ...}, how many numbers were lost}: what was executed last, slot by slot
local lost = 0
for i = 1, 3 do
    local key = KEYS[i + 2]
    if redis.call('EXISTS', KEYS[2]) == 1 and tonumber(redis.call('GET', key) or 0) < tonumber(ARGV[i]) then
        redis.call('SET', key, ARGV[i])
        lost = lost + 1
    end
end
local generation = redis.call('HINCRBY', KEYS[1], 'gen', 1)
local slots = redis.call('HGETALL', KEYS[1])
local kept = {}
for i = 1, #slots, 2 do
    if slots[i] ~= 'gen' then kept[#kept + 1] = cmsgpack.unpack(slots[i + 1]) end
end
return {tostring(generation), kept, lost}
