import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { formatTestVolume, mountVolume } from "../support/mount.ts";

const run = promisify(execFile);

/** Makes the handle of a file (name_to_handle_at), or opens one below a folder (open_by_handle_at) and tells its path and text. */
const HANDLES = `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
handle = ctypes.create_string_buffer(136)
folder, given = sys.argv[1:]
if os.path.lexists(given):
    struct.pack_into('I', handle, 0, 128)
    if libc.name_to_handle_at(-100, given.encode(), handle, ctypes.byref(ctypes.c_int()), 0) < 0: sys.exit('no handle')
    print(handle.raw.hex())
else:
    handle.raw = bytes.fromhex(given)
    fd = libc.open_by_handle_at(os.open(folder, os.O_RDONLY), handle, os.O_RDONLY)
    if fd < 0: sys.exit(os.strerror(ctypes.get_errno()))
    print(os.path.relpath(os.readlink(f'/proc/self/fd/{fd}'), folder), os.read(fd, 100).decode())
`;

async function handles(folder: string, given: string): Promise<string> {
  const { stdout } = await run("python3", ["-c", HANDLES, folder, given]);
  return stdout.trim();
}

test("a file handle leads to a file that the kernel knows nothing of, until it is removed", async () => {
  await using volume = await formatTestVolume();
  await using one = await mountVolume(volume);
  await using other = await mountVolume(volume);
  const path = join(one.path, "folder", "file");
  await mkdir(join(one.path, "folder"));
  await writeFile(path, "contents");
  const handle = await handles(one.path, path);
  assert.match(await handles(other.path, handle), /contents$/);
  await unlink(path);
  await assert.rejects(handles(other.path, handle), /Stale file handle/);
});

test("a file handle leads to nothing outside of the directory that is shown", async () => {
  await using volume = await formatTestVolume();
  await using one = await mountVolume(volume);
  await mkdir(join(one.path, "shown"));
  await writeFile(join(one.path, "hidden"), "contents");
  const handle = await handles(one.path, join(one.path, "hidden"));
  await using other = await mountVolume(volume, ["--subdir", "/shown"]);
  await assert.rejects(handles(other.path, handle), /Stale file handle/);
});
