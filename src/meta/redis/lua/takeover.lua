-- Takes a session over: nobody who took it before can change anything from now on.
--   KEYS  answers<sid>
--   reply {generation, {{number, answer}, ...}}: what was executed last, slot by slot
local generation = redis.call('HINCRBY', KEYS[1], 'gen', 1)
local slots = redis.call('HGETALL', KEYS[1])
local kept = {}
for i = 1, #slots, 2 do
    if slots[i] ~= 'gen' then kept[#kept + 1] = cmsgpack.unpack(slots[i + 1]) end
end
return {tostring(generation), kept}
