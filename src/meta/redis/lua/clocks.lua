-- Seconds by the server's clock, which is one for all hosts; where it may not be asked, by the caller's. Then the earlier and the
-- later of both: a host whose clock is wrong neither takes others for dead nor is taken for dead.
local function clocks(here)
    local time = redis.pcall('TIME')
    local now = time.err and here or tonumber(time[1])
    return now, math.min(now, here), math.max(now, here)
end
