#!/bin/sh
# What inner machines read: inner_data.sh make|check FOLDER DISK... Writes each FOLDER/DISK, a megabyte that is known with seven
# empty ones behind it, FOLDER/tftp/file, and their sums, which the machines get, in FOLDER/known. Or looks whether each disk
# has its first megabyte twice, and else nothing, as inner/init leaves it.
exec python3 - "$@" <<'END'
import hashlib
import pathlib
import random
import sys

MB = 1 << 20
verb, folder, *disks = sys.argv[1:]
folder = pathlib.Path(folder)
first, file = (random.Random(seed).randbytes(MB) for seed in (1, 2))


def checked(disk):
    wanted = (first + first).ljust(8 * MB, b"\0")
    got = (folder / disk).read_bytes()
    bad = [at for at in range(0, 8 * MB, 512) if got[at:at + 512] != wanted[at:at + 512]]
    print(f"FAIL {disk}: {len(bad)} sectors, the first at {bad[0]}" if bad else f"ok {disk} has what was written, and nothing else")


if verb == "check":
    for name in disks:
        checked(name)
else:
    (folder / "known").mkdir()
    (folder / "tftp").mkdir()
    (folder / "tftp/file").write_bytes(file)
    for name, data in (("disk", first), ("file", file)):
        (folder / f"known/{name}.sum").write_text(f"{hashlib.sha256(data).hexdigest()}  -\n", encoding="ascii")
    for name in disks:
        (folder / name).write_bytes(first.ljust(8 * MB, b"\0"))
END
