-- uses prelude
-- Sets right what an administrator found wrong, where it still is what was seen.
--   KEYS  i<ino>, and the three hashes of sums; for the volume's counters usedSpace, totalInodes
--   ARGV  what, inode, then for
--         nlink: number seen, right number           attr: record for a directory that has none
--         sums: three seen ("" for none), three right   usage: two seen, two right
--   reply 1, or 0 where it was changed meanwhile     errors ESTALE
if fenced() then return fail('ESTALE', 'repair') end
local what, ino = ARGV[9], ARGV[10]
local done = 0
if what == 'nlink' then
    local attr = call('GET', KEYS[3])
    if attr and u32(attr, NLINK) == tonumber(ARGV[11]) then
        call('SET', KEYS[3], put_u32(attr, NLINK, tonumber(ARGV[12])))
        note('a', ino)
        done = 1
    end
elseif what == 'attr' then
    if call('SETNX', KEYS[3], ARGV[11]) == 1 then
        note('a', ino)
        done = 1
    end
elseif what == 'sums' then
    local same = call('EXISTS', KEYS[3]) == 1
    for i = 1, 3 do
        if (call('HGET', KEYS[3 + i], ino) or '') ~= ARGV[10 + i] then same = false end
    end
    if same then
        for i = 1, 3 do call('HSET', KEYS[3 + i], ino, ARGV[13 + i]) end
        done = 1
    end
elseif what == 'usage' then
    if (call('GET', KEYS[3]) or '0') == ARGV[11] and (call('GET', KEYS[4]) or '0') == ARGV[12] then
        call('SET', KEYS[3], ARGV[13])
        call('SET', KEYS[4], ARGV[14])
        done = 1
    end
end
return finish(done)
