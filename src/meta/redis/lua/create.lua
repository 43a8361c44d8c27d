-- uses prelude acl inode
-- Makes an inode and its entry: file, directory, symlink, fifo, device or socket.
--   KEYS  d<parent>, i<parent>, i<new>, s<new>
--   ARGV  parent, name, new inode, type, mode, umask, uid, gid, rdev, target, most bytes, most inodes (0: no limit)
--   reply {attr, parent's attr, inode}    errors ENOENT ENOTDIR EEXIST EPERM ENOSPC ESTALE
if fenced() then return fail('ESTALE', 'create') end
local parent, name, ino, kind, target = ARGV[9], ARGV[10], ARGV[11], tonumber(ARGV[12]), ARGV[18]
local dir = call('GET', KEYS[4])
if not dir then return fail('ENOENT', 'create') end
if type_of(dir) ~= DIRECTORY then return fail('ENOTDIR', 'create') end
if is_trash(parent) then return fail('EPERM', 'create') end
if is_trash(parent_of(dir)) then return fail('ENOENT', 'create') end
if has_flag(dir, IMMUTABLE) then return fail('EPERM', 'create') end
if call('HEXISTS', KEYS[3], name) == 1 then return fail('EEXIST', 'create') end
if volume_full(tonumber(ARGV[19]), tonumber(ARGV[20])) then return fail('ENOSPC', 'create') end

local attr = new_record(dir, {
    kind = kind, mode = tonumber(ARGV[13]), umask = tonumber(ARGV[14]), uid = tonumber(ARGV[15]), gid = tonumber(ARGV[16]),
    rdev = tonumber(ARGV[17]), length = kind == DIRECTORY and 4096 or #target, parent = parent, links = kind == DIRECTORY and 2 or 1,
})
count_children(parent, 0, 4096, 1)
call('SET', KEYS[5], attr)
local changed
dir, changed = touched(dir, kind == DIRECTORY)
if kind == DIRECTORY then dir = put_u32(dir, NLINK, u32(dir, NLINK) + 1) end
if changed then
    call('SET', KEYS[4], dir)
    note('a', parent)
end
if kind == SYMLINK then call('SET', KEYS[6], target) end
call('HSET', KEYS[3], name, string.char(kind) .. ino_bytes(ino))
count_inode()
if kind == DIRECTORY then begin_statistics(ino) end
note('n', ino)
note_entry(parent, name)
return finish({attr, dir, ino})
