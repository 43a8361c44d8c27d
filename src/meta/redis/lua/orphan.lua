-- uses prelude
-- Deletes an inode that no directory refers to. It is looked for in the folders its own record names, for a name may have been
-- moved while somebody walked over the directories.
--   KEYS  i<ino>, x<ino>, s<ino>, p<ino>, delfiles      ARGV  inode, its record as it was read, folders it may be in
--   reply 1, or 0 where it has a name, or was changed meanwhile      errors ESTALE
if fenced() then return fail('ESTALE', 'orphan') end
local ino, record = ARGV[9], ARGV[10]
if call('GET', KEYS[3]) ~= record then return finish(0) end
local bytes = ino_bytes(ino)
for i = 11, #ARGV do
    for _, entry in ipairs(call('HVALS', 'd' .. ARGV[i])) do
        if string.sub(entry, 2, 9) == bytes then return finish(0) end
    end
end
if type_of(record) == DIRECTORY and call('EXISTS', 'd' .. ino) == 1 then return finish(0) end
local space = type_of(record) == DIRECTORY and 4096 or align4k(length_of(record))
call('DEL', KEYS[3], KEYS[4], KEYS[5], KEYS[6])
call('INCRBY', 'usedSpace', dec(-space))
call('INCRBY', 'totalInodes', -1)
if type_of(record) == FILE then call('ZADD', KEYS[7], NOW_SEC, ino .. ':' .. dec(length_of(record))) end
note('a', ino)
return finish(1)
