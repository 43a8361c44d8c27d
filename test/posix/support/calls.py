"""System calls by name, for processes of any user.

Started with the path of a Unix socket, it says "ready" and forks a process for each connection. The first line of a
connection says whose process it is; every further line is a call, every answer is a line too. Ends with its standard input.
"""

import base64
import ctypes
import errno
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
BIG = 2**53 - 1
maps = {}
streams = {}


class Dirent(ctypes.Structure):
    _fields_ = [
        ("ino", ctypes.c_uint64),
        ("off", ctypes.c_int64),
        ("reclen", ctypes.c_ushort),
        ("type", ctypes.c_ubyte),
        ("name", ctypes.c_char * 256),
    ]


libc.fdopendir.restype = ctypes.c_void_p
libc.readdir.restype = ctypes.POINTER(Dirent)
libc.readdir.argtypes = libc.closedir.argtypes = libc.rewinddir.argtypes = [ctypes.c_void_p]
libc.telldir.restype = ctypes.c_long
libc.telldir.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]


def checked(result):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def name(path):
    return path if isinstance(path, bytes) else os.fsencode(path)


def fields(st):
    return {
        "dev": st.st_dev,
        "ino": st.st_ino,
        "mode": st.st_mode,
        "nlink": st.st_nlink,
        "uid": st.st_uid,
        "gid": st.st_gid,
        "rdev": st.st_rdev,
        "size": st.st_size,
        "blocks": st.st_blocks,
        "blksize": st.st_blksize,
        "atime": {"int": str(st.st_atime_ns)},
        "mtime": {"int": str(st.st_mtime_ns)},
        "ctime": {"int": str(st.st_ctime_ns)},
    }


def statvfs(path):
    st = os.statvfs(path)
    return {key: getattr(st, "f_" + key) for key in ("bsize", "frsize", "blocks", "bfree", "bavail", "files", "ffree", "namemax")}


def timespec(parts):
    return struct.pack("qq", *parts)


def utimensat(path, atime, mtime, flags=0, dirfd=AT_FDCWD):
    times = timespec(atime) + timespec(mtime)
    if path is None:
        checked(libc.futimens(dirfd, times))
    else:
        checked(libc.utimensat(dirfd, name(path), times, flags))


def fallocate(fd, mode, offset, length):
    checked(libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)))


def renameat2(old, new, flags):
    checked(libc.renameat2(AT_FDCWD, name(old), AT_FDCWD, name(new), flags))


def linkat(fd, old, new, flags):
    checked(libc.linkat(fd, name(old), AT_FDCWD, name(new), flags))


def access(path, mode):
    checked(libc.access(name(path), mode))


def flock(fd, operation):
    fcntl.flock(fd, operation)


def lock(fd, command, kind, start, length, whence=0):
    """fcntl(2): F_SETLK, F_GETLK and their kind; answers what the kernel left in the struct."""
    packed = struct.pack("hhqqi4x", kind, whence, start, length, 0)
    answer = struct.unpack("hhqqi4x", fcntl.fcntl(fd, command, packed))
    return {"type": answer[0], "start": answer[2], "length": answer[3], "pid": answer[4]}


def map_file(fd, length, prot, flags, offset=0):
    handle = len(maps) + 1
    maps[handle] = mmap.mmap(fd, length, flags, prot, offset=offset)
    return handle


def map_read(handle, offset, length):
    return maps[handle][offset : offset + length]


def map_write(handle, offset, data):
    maps[handle][offset : offset + len(data)] = data


def map_sync(handle):
    maps[handle].flush()


def map_close(handle):
    maps.pop(handle).close()


def get_flags(fd):
    return struct.unpack("i", fcntl.ioctl(fd, 0x80086601, bytes(4)) )[0]


def set_flags(fd, flags):
    fcntl.ioctl(fd, 0x40086602, struct.pack("i", flags))


def get_xflags(fd):
    return struct.unpack("I", fcntl.ioctl(fd, 0x801C581F, bytes(28))[:4])[0]


def ioctl(fd, request, size):
    return fcntl.ioctl(fd, request, bytes(size))


def open_directory(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    streams[fd] = libc.fdopendir(fd)
    return fd


def read_directory(handle, count):
    """Up to `count` entries: name, inode, type, and telldir(3) behind it."""
    found = []
    while len(found) < count:
        ctypes.set_errno(0)
        entry = libc.readdir(streams[handle])
        if not entry:
            if ctypes.get_errno() != 0:
                checked(-1)
            break
        found.append([entry.contents.name, entry.contents.ino, entry.contents.type, {"int": str(libc.telldir(streams[handle]))}])
    return found


def seek_directory(handle, position):
    libc.seekdir(streams[handle], position)


def rewind_directory(handle):
    libc.rewinddir(streams[handle])


def close_directory(handle):
    libc.closedir(streams.pop(handle))


def bind(path):
    """A Unix socket that listens on `path`; the descriptor."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    return listener.detach()


def connect(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def run(argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return {"status": done.returncode, "stdout": done.stdout.decode(), "stderr": done.stderr.decode()}


def spawn(argv):
    """Starts a program; its pid."""
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).pid


def finish(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def limit_file_size(length):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, resource.RLIM_INFINITY))


def fork_holding(command, *arguments):
    """A child that makes one call, tells its outcome, and goes."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.write(writer, json.dumps(answer({"call": command, "args": arguments})).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        text = said.read()
    os.waitpid(pid, 0)
    outcome = json.loads(text)
    if "errno" in outcome:
        raise OSError(getattr(errno, outcome["errno"]), "in the child")
    return decoded(outcome["value"])


def fill(fd, count, size):
    """Writes `count` times `size` bytes, numbered."""
    for number in range(count):
        os.write(fd, struct.pack("<I", number) * (size // 4))


def make_files(folder, prefix, count):
    for number in range(count):
        os.close(os.open(os.path.join(folder, f"{prefix}{number}"), os.O_CREAT | os.O_WRONLY, 0o644))


OWN = {
    function.__name__: function
    for function in (
        *(statvfs, utimensat, fallocate, renameat2, linkat, access, flock, lock, map_file, map_read, map_write),
        *(map_sync, map_close, get_flags, set_flags, get_xflags, ioctl, open_directory, read_directory, seek_directory),
        *(rewind_directory, close_directory, bind, connect, run, spawn, finish, limit_file_size, fork_holding, fill),
        *(make_files,),
    )
}
OWN["stat"] = lambda path: fields(os.stat(path))
OWN["lstat"] = lambda path: fields(os.lstat(path))
OWN["fstat"] = lambda fd: fields(os.fstat(fd))
OWN["sleep"] = time.sleep


def decoded(value):
    if isinstance(value, list):
        return [decoded(one) for one in value]
    if isinstance(value, dict):
        if "bytes" in value:
            return base64.b64decode(value["bytes"])
        if "int" in value:
            return int(value["int"])
        return {key: decoded(one) for key, one in value.items()}
    return value


def encoded(value):
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) > BIG:
        return {"int": str(value)}
    if isinstance(value, (list, tuple)):
        return [encoded(one) for one in value]
    if isinstance(value, dict):
        return {key: encoded(one) for key, one in value.items()}
    return value


def code_of(error):
    """The name that Node has for it, where Linux has two."""
    return {"ENOTSUP": "EOPNOTSUPP", "EDEADLOCK": "EDEADLK"}.get(code := errno.errorcode.get(error.errno, str(error)), code)


def answer(request):
    call = request["call"]
    try:
        function = OWN.get(call) or getattr(os, call)
        return {"value": encoded(function(*decoded(request["args"]), **request.get("named", {})))}
    except OSError as error:
        return {"errno": code_of(error), "text": str(error)}
    except Exception as error:
        return {"errno": type(error).__name__, "text": str(error)}


def interrupted(_signal, _frame):
    raise InterruptedError(errno.EINTR, "interrupted")


def serve(connection):
    lines = connection.makefile("rwb")
    who = json.loads(lines.readline())
    signal.signal(signal.SIGUSR1, interrupted)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.umask(who["umask"])
    os.chdir("/")
    os.setgroups(who["groups"])
    os.setresgid(who["gid"], who["gid"], who["gid"])
    os.setresuid(who["uid"], who["uid"], who["uid"])
    reply = {"value": os.getpid()}
    while True:
        lines.write(json.dumps(reply).encode() + b"\n")
        lines.flush()
        line = lines.readline()
        if line == b"":
            return
        reply = answer(json.loads(line))


def main():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    parent = os.getpid()
    if os.fork() == 0:
        # The one who started this may be killed: its end of the pipe ends everything.
        listener.close()
        sys.stdin.read()
        if os.getppid() == parent:
            os.kill(parent, signal.SIGTERM)
        os._exit(0)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            try:
                serve(connection)
            finally:
                os._exit(0)
        connection.close()


main()
