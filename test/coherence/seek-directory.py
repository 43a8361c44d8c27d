"""Lists a directory, changes it, goes back (seekdir) to where it had read some names, and prints what it sees of the rest."""

import ctypes
import json
import os
import sys


class Entry(ctypes.Structure):
    _fields_ = [
        ("ino", ctypes.c_uint64),
        ("off", ctypes.c_int64),
        ("length", ctypes.c_ushort),
        ("type", ctypes.c_ubyte),
        ("name", ctypes.c_char * 256),
    ]


libc = ctypes.CDLL(None, use_errno=True)
libc.opendir.restype = ctypes.c_void_p
libc.readdir.restype = ctypes.POINTER(Entry)
libc.readdir.argtypes = [ctypes.c_void_p]
libc.telldir.restype = ctypes.c_long
libc.telldir.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]


def names(limit=sys.maxsize):
    found = []
    while len(found) < limit:
        entry = libc.readdir(directory)
        if not entry:
            break
        found.append(entry.contents.name.decode())
    return found


path, made = sys.argv[1], int(sys.argv[2])
directory = libc.opendir(path.encode())
first = names(100)
place = libc.telldir(directory)
rest = names()
removed = [first[50], rest[50], rest[-50]]
for name in removed:
    os.unlink(os.path.join(path, name))
for number in range(made):
    open(os.path.join(path, f"made {number}"), "w").close()
libc.seekdir(directory, place)
again = names()
stayed = set(rest) - set(removed)
print(
    json.dumps(
        {
            "listed": len(first) + len(rest),
            "missing": len(stayed - set(again)),
            "twice": len(again) - len(set(again)),
            "before": len(set(again) & set(first)),
        }
    )
)
