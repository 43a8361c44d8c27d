-- uses prelude trash acl inode moving seen
-- Moves a name, replacing or exchanging what the new one led to.
--   KEYS  d<from>, i<from>, d<to>, i<to>, i<moved>, p<moved>, then of the target: i, d, p<target>; i<whiteout>
--   ARGV  from, name, to, new name, moved, target ('0' for none), flags, uid, hour's trash folder, 1 when the target is open,
--         inode for a whiteout, gid, most bytes, most inodes (0: no limit)
--   reply {moved's attr, target's attr or false, from's attr, to's attr, moved, whiteout or '', then of the target: length of
--         data to delete or -1, 1 where it is gone, its number or '0'}
--         or {"known", entry or false, target's entry or false}: nothing was done
--   errors ENOENT EEXIST ENOTDIR EISDIR ENOTEMPTY EINVAL EPERM ENOSPC ESTALE
if fenced() then return fail('ESTALE', 'rename') end
local from, name, to, new_name = ARGV[9], ARGV[10], ARGV[11], ARGV[12]
local flags, uid, hour, open = tonumber(ARGV[15]), tonumber(ARGV[16]), ARGV[17], ARGV[18] == '1'
local noreplace, exchange, whiteout = flags % 2 == 1, math.floor(flags / 2) % 2 == 1, flags >= 4
local entry, other = call('HGET', KEYS[3], name), call('HGET', KEYS[5], new_name)
if not entry then return fail('ENOENT', 'rename') end
local ino, target = ino_at(entry, 2), other and ino_at(other, 2) or '0'
if ino ~= ARGV[13] or target ~= ARGV[14] then return {'known', entry, other} end
if other and noreplace then return fail('EEXIST', 'rename') end
if exchange and not other then return fail('ENOENT', 'rename') end
local src, dst, attr = call('GET', KEYS[4]), call('GET', KEYS[6]), call('GET', KEYS[7])
if not src or not dst or not attr then return fail('ENOENT', 'rename') end
if type_of(src) ~= DIRECTORY or type_of(dst) ~= DIRECTORY then return fail('ENOTDIR', 'rename') end
if is_trash(to) or from == TRASH or is_trash(from) and uid ~= 0 then return fail('EPERM', 'rename') end
-- Names in the trash tell what lies there: something else under one would be lost with the next removal of that name.
if is_trash(from) and (exchange or whiteout) then return fail('EPERM', 'rename') end
if is_trash(parent_of(dst)) then return fail('ENOENT', 'rename') end
local same = from == to
if ino == target then return finish({seen(ino, attr), seen(ino, attr), src, dst, ino, '', -1, 0, ino}) end
if whiteout and volume_full(tonumber(ARGV[21]), tonumber(ARGV[22])) then return fail('ENOSPC', 'rename') end
if locked_by_flags(src) or has_flag(dst, IMMUTABLE) or locked_by_flags(attr) then return fail('EPERM', 'rename') end
if sticky_forbids(src, attr, uid) then return fail('EPERM', 'rename') end
local is_dir = string.byte(entry, 1) == DIRECTORY
if is_dir and not same and below(to, ino) then return fail('EINVAL', 'rename') end
local tattr, t_dir = false, other and string.byte(other, 1) == DIRECTORY
if other then
    tattr = call('GET', KEYS[9])
    if exchange and t_dir and not same and below(from, target) then return fail('EINVAL', 'rename') end
    if not exchange and is_dir and not t_dir then return fail('ENOTDIR', 'rename') end
    if not exchange and t_dir and not is_dir then return fail('EISDIR', 'rename') end
    -- What is replaced or exchanged loses its place in a directory that may only get names.
    if has_flag(dst, APPEND) or tattr and locked_by_flags(tattr) then return fail('EPERM', 'rename') end
    if tattr and sticky_forbids(dst, tattr, uid) then return fail('EPERM', 'rename') end
    if not exchange and t_dir and call('HLEN', KEYS[10]) > 0 then return fail('ENOTEMPTY', 'rename') end
    if tattr and has_flag(tattr, SKIP_TRASH) then hour = '' end
    if exchange and not tattr then return fail('ENOENT', 'rename') end
end

local links_src, links_dst, delete, left, gone = 0, 0, -1, false, 0
if exchange then
    call('HSET', KEYS[3], name, other)
    left = moved(tattr, target, KEYS[11], to, from)
    if t_dir and not same then links_src, links_dst = links_src + 1, links_dst - 1 end
else
    call('HDEL', KEYS[3], name)
    if tattr then
        left, delete, gone = drop_link(to, new_name, target, tattr, hour, open)
        if t_dir then
            links_dst = links_dst - 1
            forget_directory(target)
        end
    elseif other then
        gone = 1
        count_children(to, 0, -4096, -1)
    end
end
attr = moved(attr, ino, KEYS[8], from, to)
call('HSET', KEYS[5], new_name, entry)
if whiteout then leave_whiteout(from, name, src, ARGV[19], uid, tonumber(ARGV[20])) end
if is_dir and not same then links_src, links_dst = links_src - 1, links_dst + 1 end
if same then links_src, links_dst = links_src + links_dst, 0 end
src = retouch(from, KEYS[4], src, links_src)
if same then dst = src else dst = retouch(to, KEYS[6], dst, links_dst) end
note_entry(from, name)
note_entry(to, new_name)
return finish({seen(ino, attr), seen(target, left), src, dst, ino, ARGV[19], delete, gone, target})
