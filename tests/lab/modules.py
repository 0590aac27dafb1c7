"""Pick kernel modules for a guest: modules.py FROM TO NAME...

Copies each module of the tree FROM, and what it depends on, to TO/NAME.ko, unpacked, and writes TO/order: a
line per wanted module with all files to load, dependencies first. A module tells what it depends on itself
(`depends=` in its .modinfo section), so no depmod is needed. NAME may be A|B: the first that exists, for
modules that changed their name. What is built into the kernel (modules.builtin) has nothing to load.
"""
import lzma
import pathlib
import re
import subprocess
import sys


def unpacked(path):
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def depends(data):
    found = re.search(rb"\0depends=([^\0]*)\0", data)
    return found[1].decode().split(",") if found and found[1] else []


class Picker:
    def __init__(self, tree, to):
        self.to = to
        self.files = {self.plain(p.name.split(".")[0]): p for p in tree.rglob("*.ko*")}
        self.builtin = {self.plain(pathlib.PurePath(line).stem)
                        for line in (tree / "modules.builtin").read_text(encoding="ascii").splitlines()}
        self.deps = {}

    @staticmethod
    def plain(name):
        return name.replace("-", "_")

    def take(self, name):
        """Copy a module and what it needs; the names in the order of loading."""
        name = self.plain(name)
        if name in self.builtin:
            return []
        if name not in self.files:
            sys.exit(f"lab: this kernel has no module {name}")
        if name not in self.deps:
            data = unpacked(self.files[name])
            (self.to / f"{name}.ko").write_bytes(data)
            self.deps[name] = depends(data)
        order = []
        for d in self.deps[name]:
            order += [m for m in self.take(d) if m not in order]
        return order + [name]

    def first_of(self, names):
        known = [n for n in names if self.plain(n) in self.files or self.plain(n) in self.builtin]
        return self.take((known or names)[0])


def main():
    tree, to, *wanted = sys.argv[1:]
    to = pathlib.Path(to)
    picker = Picker(pathlib.Path(tree), to)
    lines = []
    for names in wanted:
        order = picker.first_of(names.split("|"))
        lines.append(f"{names.split('|')[0]} {' '.join(order)}\n")
    (to / "order").write_text("".join(lines), encoding="ascii")


main()
