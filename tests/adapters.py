# SPDX-License-Identifier: MIT
"""adapters.py lora|vector FILE EMBD LAYERS: a small adapter for a model of modelgen's llama family."""
import random
import struct
import sys

U32, F32, STRING = 4, 6, 8


def text(s):
    return struct.pack("<Q", len(s)) + s.encode()


def gguf(path, keys, tensors):
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for key, kind, value in keys:
        out += text(key) + struct.pack("<I", kind)
        out += text(value) if kind == STRING else struct.pack("<I" if kind == U32 else "<f", value)
    data = b""
    for name, shape, values in tensors:
        out += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in shape)
        out += struct.pack("<IQ", 0, len(data))
        data += struct.pack("<%df" % len(values), *values)
        data += b"\0" * (-len(data) % 32)
    out += b"\0" * (-len(out) % 32)
    with open(path, "wb") as f:
        f.write(out + data)


def drawn(n):
    return [random.uniform(-1, 1) for _ in range(n)]


kind, path, embd, layers = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
random.seed(7)
if kind == "lora":
    rank = 4
    tensors = []
    for i in range(layers):
        tensors.append(("blk.%d.attn_output.weight.lora_a" % i, (embd, rank), drawn(embd * rank)))
        tensors.append(("blk.%d.attn_output.weight.lora_b" % i, (rank, embd), drawn(rank * embd)))
    gguf(path, [("general.architecture", STRING, "llama"), ("general.type", STRING, "adapter"),
                ("adapter.type", STRING, "lora"), ("adapter.lora.alpha", F32, 4.0)], tensors)
else:
    gguf(path, [("general.architecture", STRING, "controlvector"), ("controlvector.model_hint", STRING, "llama")],
         [("direction.%d" % i, (embd,), drawn(embd)) for i in range(1, layers)])
