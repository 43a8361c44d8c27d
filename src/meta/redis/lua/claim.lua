-- Claims a job that one client in a while does.
--   KEYS  when somebody claimed it last      ARGV  now, seconds between two claims
--   reply 1 for whoever does it now, else 0
local now, period = tonumber(ARGV[1]), tonumber(ARGV[2])
local last = tonumber(redis.call('GET', KEYS[1]) or 0)
-- Somebody whose clock is ahead claims nothing for the time until then.
if last > now - period and last <= now + period then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
