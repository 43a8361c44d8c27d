-- uses seen
-- The attributes of an inode.
--   KEYS   i<ino>, p<ino>   ARGV   inode
--   reply  attr             errors ENOENT
local record = redis.call('GET', KEYS[1])
if not record then return {err = 'ENOENT getattr'} end
return seen(ARGV[1], record)
