-- All extended attributes of an inode, where there are few.
--   KEYS  x<ino>      ARGV  most of them      reply {name, value, ...} or false
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[1]) then return false end
return redis.call('HGETALL', KEYS[1])
