"""Does the same to files in two folders and compares what they hold: random writes, reads, truncations, holes, copies and
mappings. Arguments: a folder, one on a file system that is trusted, a seed, how many operations, for how many seconds at
most. Prints how many were done; the first difference ends it with what was done last.
"""

import ctypes
import errno
import mmap
import os
import random
import sys
import time

FOLDER, TRUSTED, SEED, OPERATIONS, SECONDS = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
# Around the border of two chunks; the end of the other file's window is where blocks of every size end too.
WINDOWS = [(0, 6 << 20), ((64 << 20) - (2 << 20), 5 << 20), (0, 200_000)]

libc = ctypes.CDLL(None, use_errno=True)
rng = random.Random(SEED)
done = []


class File:
    """One file in both folders."""

    def __init__(self, number):
        self.start, self.size = WINDOWS[number]
        self.paths = [os.path.join(folder, f"file{number}") for folder in (FOLDER, TRUSTED)]
        self.fds = [os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC) for path in self.paths]

    def both(self, work):
        """Does it to both files, which must answer alike."""
        answers = []
        for fd in self.fds:
            try:
                answers.append(work(fd))
            except OSError as error:
                answers.append(errno.errorcode[error.errno])
        if answers[0] != answers[1]:
            shown = [answer if isinstance(answer, (int, str)) else first_difference(*answers) for answer in answers]
            fail(f"{self.paths[0]}: {shown}")
        return answers[0]

    def length(self):
        return os.fstat(self.fds[1]).st_size

    def place(self):
        """An offset and a length in the window; mostly short, sometimes whole blocks."""
        length = rng.choice([rng.randint(1, 100), rng.randint(1, 5000), rng.randint(1, 70_000), rng.randint(1, 400_000), 65_536, 4096])
        length = min(length, self.size)
        offset = self.start + rng.randint(0, self.size - length)
        return (offset // 4096 * 4096 if rng.random() < 0.3 else offset), length


def first_difference(one, other):
    at = next((at for at, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
    return f"lengths {len(one)} and {len(other)}, different from byte {at} on"


def fail(what):
    print(f"seed {SEED}, operation {len(done)}: {what}; last: {done[-12:]}")
    sys.exit(1)


def contents(length):
    kind = rng.random()
    if kind < 0.2:
        return bytes(length)
    if kind < 0.5:
        return (b"%d the quick brown fox " % rng.randint(0, 99) * (length // 20 + 1))[:length]
    return rng.randbytes(length)


def write(file):
    offset, length = file.place()
    data = contents(length)
    done.append(("write", offset, length))
    file.both(lambda fd: os.pwrite(fd, data, offset))


def append(file):
    if file.length() > file.start + file.size:
        return
    data = contents(rng.randint(1, 20_000))
    done.append(("append", len(data)))
    file.both(lambda fd: os.pwrite(fd, data, os.fstat(fd).st_size))


def read(file):
    offset, length = file.place()
    done.append(("read", offset, length))
    file.both(lambda fd: os.pread(fd, length, offset))


def truncate(file):
    offset, _ = file.place()
    done.append(("truncate", offset))
    file.both(lambda fd: os.ftruncate(fd, offset))


def allocate(mode):
    def work(file):
        offset, length = file.place()
        done.append(("fallocate", mode, offset, length))

        def call(fd):
            if libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)) < 0:
                raise OSError(ctypes.get_errno(), "fallocate")

        file.both(call)

    return work


def copy(file):
    other = rng.choice(files)
    (source, length), (target, _) = file.place(), other.place()
    length = min(length, max(file.length() - source, 0), other.start + other.size - target)
    if length <= 0 or (other is file and abs(source - target) < length):
        return
    done.append(("copy", source, other.paths[1], target, length))
    for which in (0, 1):
        copied = 0
        while copied < length:
            count = os.copy_file_range(file.fds[which], other.fds[which], length - copied, source + copied, target + copied)
            if count == 0:
                fail(f"{file.paths[which]}: nothing was copied at {source + copied}")
            copied += count


def map_(file):
    length = file.length()
    if length == 0:
        return
    offset, size = file.place()
    offset = min(offset, length - 1)
    size = min(size, length - offset)
    data = contents(size) if rng.random() < 0.6 else None
    done.append(("map", offset, size, data is not None))
    base = offset // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY

    def through(fd):
        with mmap.mmap(fd, offset - base + size, offset=base) as area:
            seen = area[offset - base :]
            if data is not None:
                area[offset - base :] = data
            return seen

    file.both(through)


def sync(file):
    done.append(("sync",))
    file.both(os.fsync)


def forget(file):
    """Closes the files, lets the kernel forget what it has of them, and opens them again."""
    done.append(("reopen",))
    for which, fd in enumerate(file.fds):
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)
        file.fds[which] = os.open(file.paths[which], os.O_RDWR)


def size(file):
    done.append(("size",))
    file.both(lambda fd: os.fstat(fd).st_size)


def compare(file):
    """All of it, outside of the window too."""
    done.append(("compare",))
    file.both(lambda fd: os.pread(fd, file.start + file.size + 100_000, 0))


files = [File(number) for number in range(len(WINDOWS))]
weighted = [
    *[(write, 30), (append, 4), (read, 25), (truncate, 3), (copy, 6), (map_, 8), (sync, 3), (forget, 3), (size, 4)],
    *[(allocate(0), 1), (allocate(KEEP_SIZE | PUNCH_HOLE), 3), (allocate(ZERO_RANGE), 2), (allocate(KEEP_SIZE | ZERO_RANGE), 1)],
]
end = time.monotonic() + SECONDS
while len(done) < OPERATIONS and time.monotonic() < end:
    [work] = rng.choices([work for work, _ in weighted], [weight for _, weight in weighted])
    work(rng.choice(files))
    if len(done) > 0 and len(done) % 5000 == 0:
        for one in files:
            compare(one)
for one in files:
    compare(one)
    forget(one)
    compare(one)
print(len(done))
