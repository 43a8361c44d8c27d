-- uses prelude
-- Deletes the root of a tree that was cut off and has been emptied.
--   KEYS  detachedNodes, i<ino>, d<ino>, x<ino>      ARGV  inode
--   reply 1, or 0 where it is not detached any more or not empty      errors ESTALE
if fenced() then return fail('ESTALE', 'detached') end
local ino = ARGV[9]
if not call('ZSCORE', KEYS[3], ino) or call('EXISTS', KEYS[5]) == 1 then return 0 end
if call('DEL', KEYS[4]) == 1 then
    call('INCRBY', 'usedSpace', -4096)
    call('DECR', 'totalInodes')
end
call('DEL', KEYS[6])
for _, key in ipairs({'dirDataLength', 'dirUsedSpace', 'dirUsedInodes'}) do call('HDEL', key, ino) end
call('ZREM', KEYS[3], ino)
return finish(1)
