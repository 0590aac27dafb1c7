"""The config space that a guest sees, against tests/golden/bridge-guest.lspci (UPDATE=1 writes it): check.py OUT NAME."""
import os
import pathlib
import re
import sys

import lab

GOLDEN = pathlib.Path("tests/golden/bridge-guest.lspci")
# Whom it belongs to at the moment: BARs and the ROM, which the firmware places; the interrupt's line.
PLACED = [*range(0x10, 0x28), *range(0x30, 0x34), 0x3C]


def dump(text):
    """lspci -xxxx: its bytes, without the words before them."""
    rows = re.findall(r"^([0-9a-f]{2,3}): ((?:[0-9a-f]{2} ?){16})$", text, re.M)
    found = {int(at, 16) + i: byte for at, row in rows for i, byte in enumerate(row.split())}
    return [".." if i in PLACED else found.get(i, "??") for i in range(4096)]


def rows(space):
    """Sixteen bytes a line; lines of zeros are left out."""
    lines = {at: " ".join(space[at:at + 16]) for at in range(0, 4096, 16)}
    return "".join(f"{at:03x}: {line}\n" for at, line in lines.items() if line != " ".join(["00"] * 16))


seen = rows(dump(lab.text("lspci")))
if os.environ.get("UPDATE") == "1":
    GOLDEN.write_text(seen, encoding="ascii")
wanted = GOLDEN.read_text(encoding="ascii") if GOLDEN.exists() else ""
name = f"{sys.argv[2]}: config space as a guest sees it"
if seen == wanted:
    lab.ok(name)
else:
    lab.fail(name, next(f"'{s}', not '{w}'" for s, w in zip((seen + "end").splitlines(), (wanted + "end").splitlines()) if s != w))
