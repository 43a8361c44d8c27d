-- uses prelude
-- Keeps inodes for a session that has them open, where somebody else removed their last name.
--   KEYS  session<sid>      ARGV  inodes
--   reply how many are kept       errors ESTALE
if fenced() then return fail('ESTALE', 'sustain') end
local kept = 0
for at = 9, #ARGV do
    local attr = call('GET', 'i' .. ARGV[at])
    if attr and u32(attr, NLINK) == 0 then
        call('SADD', KEYS[3], ARGV[at])
        kept = kept + 1
    end
end
return finish(kept)
