-- uses prelude acl inode
-- Makes a file without a name, kept for its session until its last close or until it gets a name.
--   KEYS  i<parent>, i<new>, session<sid>
--   ARGV  parent, new inode, mode, umask, uid, gid, most bytes, most inodes (0: no limit)
--   reply {attr, inode}      errors ENOENT ENOTDIR EPERM ENOSPC ESTALE
if fenced() then return fail('ESTALE', 'tmpfile') end
local parent, ino = ARGV[9], ARGV[10]
local dir = call('GET', KEYS[3])
if not dir then return fail('ENOENT', 'tmpfile') end
if type_of(dir) ~= DIRECTORY then return fail('ENOTDIR', 'tmpfile') end
if is_trash(parent) then return fail('EPERM', 'tmpfile') end
if is_trash(parent_of(dir)) then return fail('ENOENT', 'tmpfile') end
if has_flag(dir, IMMUTABLE) then return fail('EPERM', 'tmpfile') end
if volume_full(tonumber(ARGV[15]), tonumber(ARGV[16])) then return fail('ENOSPC', 'tmpfile') end
local attr = new_record(dir, {
    kind = FILE, mode = tonumber(ARGV[11]), umask = tonumber(ARGV[12]), uid = tonumber(ARGV[13]), gid = tonumber(ARGV[14]),
    rdev = 0, length = 0, parent = parent, links = 0,
})
call('SET', KEYS[4], attr)
call('SADD', KEYS[5], ino)
count_inode()
return finish({attr, ino})
