-- uses clocks
-- One heartbeat: keeps the session alive and looks at everything a mount must know about the volume.
--   KEYS  allSessions, sessionInfos, setting, usedSpace, totalInodes, lastCleanupSessions, answers<sid>
--   ARGV  session ("0" read-only: nothing is written), now and its life from now on in seconds, its info (JSON),
--         seconds between two clean-ups of dead sessions (-1: not by us), the mark of sessions that send notices
--   reply {setting or false, used bytes, used inodes, 1 when the session was known still, 1 when its fence was there still,
--         how many sessions send no notices, how many others do, {dead sessions to clean up}}
local sid, here, period = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[5])
local now, earliest, latest = clocks(here)
local known = sid == '0' or redis.call('ZSCORE', KEYS[1], sid)
local fence = sid == '0' or redis.call('HEXISTS', KEYS[7], 'gen') == 1
local setting = redis.call('GET', KEYS[3])
local dead = {}
if sid ~= '0' and setting then
    redis.call('HSETNX', KEYS[2], sid, ARGV[4])
    redis.call('ZADD', KEYS[1], latest + tonumber(ARGV[3]), sid)
    local last = tonumber(redis.call('GET', KEYS[6]) or 0)
    -- One in the future is of a client whose clock is ahead: nobody would look for dead sessions until then.
    if period >= 0 and (last <= now - period or last > now + period) then
        redis.call('SET', KEYS[6], now)
        dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', earliest, 'LIMIT', 0, 1000)
    end
end
local silent, companions = 0, 0
local alive = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. earliest, '+inf')
for first = 1, #alive, 1000 do
    for _, info in ipairs(redis.call('HMGET', KEYS[2], unpack(alive, first, math.min(first + 999, #alive)))) do
        local ours = info and string.find(info, ARGV[6], 1, true)
        if ours then companions = companions + 1 else silent = silent + 1 end
    end
end
return {setting, redis.call('GET', KEYS[4]) or '0', redis.call('GET', KEYS[5]) or '0', known and 1 or 0,
    fence and 1 or 0, silent, companions - (sid == '0' and 0 or 1), dead}
