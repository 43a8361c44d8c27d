-- Claims a job that one client in a while does.
--   KEYS  when somebody claimed it last      ARGV  now, seconds between two claims
--   reply 1 for whoever does it now, else 0
if tonumber(redis.call('GET', KEYS[1]) or 0) > ARGV[1] - ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
