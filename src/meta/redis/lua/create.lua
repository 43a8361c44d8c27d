-- uses prelude acl
-- Makes an inode and its entry: file, directory, symlink, fifo, device or socket.
--   KEYS  d<parent>, i<parent>, i<new>, s<new>
--   ARGV  parent, name, new inode, type, mode, umask, uid, gid, rdev, target, most bytes, most inodes (0: no limit)
--   reply {attr, parent's attr, inode}    errors ENOENT ENOTDIR EEXIST EPERM ENOSPC ESTALE
if fenced() then return fail('ESTALE', 'create') end
local parent, name, ino = ARGV[9], ARGV[10], ARGV[11]
local kind, mode, umask = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])
local uid, gid, target = tonumber(ARGV[15]), tonumber(ARGV[16]), ARGV[18]
local dir = call('GET', KEYS[4])
if not dir then return fail('ENOENT', 'create') end
if type_of(dir) ~= DIRECTORY then return fail('ENOTDIR', 'create') end
if is_trash(parent) then return fail('EPERM', 'create') end
if is_trash(parent_of(dir)) then return fail('ENOENT', 'create') end
if has_flag(dir, IMMUTABLE) then return fail('EPERM', 'create') end
if call('HEXISTS', KEYS[3], name) == 1 then return fail('EEXIST', 'create') end
local most_bytes, most_inodes = tonumber(ARGV[19]), tonumber(ARGV[20])
if most_bytes > 0 and tonumber(call('GET', 'usedSpace') or 0) + 4096 > most_bytes
    or most_inodes > 0 and tonumber(call('GET', 'totalInodes') or 0) + 1 > most_inodes then
    return fail('ENOSPC', 'create')
end
local rule = default_acl(dir)
local access, inherited = 0, 0
if rule and kind ~= SYMLINK then
    mode, access = acl_mode(rule, mode)
    if kind == DIRECTORY then inherited = default_acl_id(dir) end
else
    mode = bit.band(mode, bit.bnot(umask))
end
if bit.band(mode_of(dir), 1024) ~= 0 then
    gid = u32(dir, GID)
    if kind == DIRECTORY then mode = bit.bor(mode, 1024) end
end
local length = kind == DIRECTORY and 4096 or #target
local flags = has_flag(dir, SKIP_TRASH) and SKIP_TRASH or 0
local attr = struct.pack('>BI2I4I4', flags, kind * 4096 + mode, uid, gid) .. NOW .. NOW .. NOW
    .. struct.pack('>I4', kind == DIRECTORY and 2 or 1) .. pack64(length)
    .. struct.pack('>I4', tonumber(ARGV[17])) .. ino_bytes(parent)
if access > 0 or inherited > 0 then attr = attr .. struct.pack('>I4I4', access, inherited) end
attr = attr .. '\0'
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
call('INCRBY', 'usedSpace', 4096)
call('INCR', 'totalInodes')
if kind == DIRECTORY then
    call('HSET', 'dirUsedInodes', ino, 0)
    call('HSET', 'dirDataLength', ino, 0)
    call('HSET', 'dirUsedSpace', ino, 0)
end
note('n', ino)
note_entry(parent, name)
return finish({attr, dir, ino})
