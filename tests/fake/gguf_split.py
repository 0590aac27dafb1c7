# SPDX-License-Identifier: MIT
"""Cut a header-only GGUF into shards, as gguf-split does, or pad it: for tests.

gguf_split.py MODEL PREFIX N         PREFIX-0000I-of-0000N.gguf, tensors dealt out in order
gguf_split.py --pad BYTES MODEL OUT  the same model with a text of so many bytes in front
"""
import struct
import sys

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
ALIGN = 32


class Header:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.b = f.read()
        n_tensors, n_kvs = struct.unpack_from("<QQ", self.b, 8)
        self.at = 24
        self.kvs = [self.kv() for _ in range(n_kvs)]
        self.tensors = [self.tensor() for _ in range(n_tensors)]

    def number(self, form):
        v = struct.unpack_from(form, self.b, self.at)[0]
        self.at += struct.calcsize(form)
        return v

    def skip(self, kind):
        n = self.number("<Q") if kind == 8 else SIZES[kind]
        self.at += n

    def kv(self):
        start = self.at
        self.skip(8)
        kind = self.number("<I")
        if kind == 9:
            kind, n = self.number("<I"), self.number("<Q")
            if kind == 8:
                for _ in range(n):
                    self.skip(8)
            else:
                self.at += n * SIZES[kind]
        else:
            self.skip(kind)
        return self.b[start:self.at]

    def tensor(self):
        start = self.at
        self.skip(8)
        self.at += 8 + 8 * struct.unpack_from("<I", self.b, self.at)[0]
        described = self.b[start:self.at]
        return described, self.number("<Q")


def text(s):
    return struct.pack("<Q", len(s)) + s


def write(path, kvs, tensors):
    """Tensors as (description, size in the data part): each begins where the one before ends."""
    offset = 0
    with open(path, "wb") as f:
        f.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(kvs)) + b"".join(kvs))
        for described, size in tensors:
            f.write(described + struct.pack("<Q", offset))
            offset += size


def sizes(tensors):
    ends = [offset for _, offset in tensors[1:]]
    return [(d, (ends[i] - offset) if i < len(ends) else 0) for i, (d, offset) in enumerate(tensors)]


def main():
    if sys.argv[1] == "--pad":
        h = Header(sys.argv[3])
        pad = text(b"test.padding") + struct.pack("<I", 8) + text(b" " * int(sys.argv[2]))
        write(sys.argv[4], [pad] + h.kvs, sizes(h.tensors))
        return
    h, prefix, n = Header(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    per = -(-len(h.tensors) // n)
    all_tensors = sizes(h.tensors)
    for i in range(n):
        kvs = [text(b"split.no") + struct.pack("<IH", 2, i),
               text(b"split.count") + struct.pack("<IH", 2, n),
               text(b"split.tensors.count") + struct.pack("<Ii", 5, len(h.tensors))]
        write("%s-%05d-of-%05d.gguf" % (prefix, i + 1, n), (h.kvs if i == 0 else []) + kvs,
              all_tensors[i * per:(i + 1) * per])


main()
