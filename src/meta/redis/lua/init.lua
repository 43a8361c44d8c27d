-- Stores the settings of a volume; a new one gets its root, and its trash where it has one.
--   KEYS  setting, i1, i<trash>
--   ARGV  settings, settings that were read ("" for none), root's record, the trash's record ("" for none), 1 where directory
--         statistics are turned on
--   reply "done"; "changed" where the settings are no longer those read; else the number of keys that are not ours
local old = redis.call('GET', KEYS[1]) or ''
if old ~= ARGV[2] then return 'changed' end
if old == '' and redis.call('DBSIZE') > 0 then return redis.call('DBSIZE') end
if ARGV[5] == '1' then redis.call('DEL', 'dirUsedInodes', 'dirUsedSpace') end
if ARGV[4] ~= '' then redis.call('SETNX', KEYS[3], ARGV[4]) end
redis.call('SET', KEYS[1], ARGV[1])
if old == '' then redis.call('SET', KEYS[2], ARGV[3]) end
return 'done'
