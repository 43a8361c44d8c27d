"""Reads and writes pages of a mapped file until standard input ends. Each page begins with its number; prints what it saw."""

import json
import mmap
import os
import random
import select
import sys
import time

PAGE = 4096
path, role = sys.argv[1:3]
fd = os.open(path, os.O_RDWR)
pages = os.fstat(fd).st_size // PAGE
memory = mmap.mmap(fd, pages * PAGE, mmap.MAP_SHARED)
print("mapped", flush=True)
report = {"touched": 0, "longestMs": 0, "wrong": []}
while not select.select([sys.stdin], [], [], 0)[0]:
    for _ in range(20):
        page = random.randrange(pages)
        begun = time.monotonic()
        number = int.from_bytes(memory[page * PAGE : page * PAGE + 8], "big")
        if number != page:
            report["wrong"].append([page, number])
        if role == "writer" and page % 4 == 0:
            memory[page * PAGE + 8 : page * PAGE + 16] = random.randbytes(8)
        report["touched"] += 1
        report["longestMs"] = max(report["longestMs"], round((time.monotonic() - begun) * 1000))
    # What is kept nowhere is asked for.
    if role == "writer":
        memory.flush()
    memory.madvise(mmap.MADV_DONTNEED)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
print(json.dumps(report))
