-- uses prelude trash seen
-- Removes a name: of a file (unlink) or of an empty directory (rmdir).
--   KEYS  d<parent>, i<parent>, then of the child as the caller knows it: i, d, x, p, s<child>
--   ARGV  parent, name, child, "rmdir" or "unlink", uid, hour's folder of the trash ('' for none), 1 when the child is open,
--         1 for what its time is over of: an hourly folder of the trash, and what lies in it, whatever its flags say
--   reply {child's attr or false, parent's attr, length of data to delete or -1, 1 where the child is gone, child}
--         or {"known", entry} where the name leads to another inode: nothing was done
--   errors ENOENT ENOTDIR EISDIR ENOTEMPTY EPERM ESTALE
if fenced() then return fail('ESTALE', 'remove') end
local parent, name, known, directory = ARGV[9], ARGV[10], ARGV[11], ARGV[12] == 'rmdir'
local uid, hour, open, expired = tonumber(ARGV[13]), ARGV[14], ARGV[15] == '1', ARGV[16] == '1'
local entry = call('HGET', KEYS[3], name)
if not entry then return fail('ENOENT', ARGV[12]) end
local ino = ino_at(entry, 2)
if ino ~= known then return {'known', entry} end
local kind = string.byte(entry, 1)
if directory and kind ~= DIRECTORY then return fail('ENOTDIR', 'rmdir') end
if not directory and kind == DIRECTORY then return fail('EISDIR', 'unlink') end
local dir, attr = call('GET', KEYS[4]), call('GET', KEYS[5])
if not dir then return fail('ENOENT', ARGV[12]) end
if type_of(dir) ~= DIRECTORY then return fail('ENOTDIR', ARGV[12]) end
if parent == TRASH and not expired or is_trash(parent) and uid ~= 0 then return fail('EPERM', ARGV[12]) end
if locked_by_flags(dir) and not expired then return fail('EPERM', ARGV[12]) end
if attr then
    if sticky_forbids(dir, attr, uid) then return fail('EPERM', ARGV[12]) end
    if locked_by_flags(attr) and not expired then return fail('EPERM', ARGV[12]) end
    if has_flag(attr, SKIP_TRASH) then hour = '' end
end
if directory and call('HLEN', KEYS[6]) > 0 then return fail('ENOTEMPTY', 'rmdir') end
if is_trash(parent) then hour = '' end

call('HDEL', KEYS[3], name)
note_entry(parent, name)
local left, delete, gone = false, -1, 1
if attr then
    left, delete, gone = drop_link(parent, name, ino, attr, hour, open)
else
    count_children(parent, 0, -4096, -1)
end
if directory then forget_directory(ino) end
if not is_trash(parent) then
    local changed
    dir, changed = touched(dir, directory)
    if directory then dir = put_u32(dir, NLINK, u32(dir, NLINK) - 1) end
    if changed then
        call('SET', KEYS[4], dir)
        note('a', parent)
    end
end
return finish({seen(ino, left), dir, delete, gone, ino})
