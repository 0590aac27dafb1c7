# SPDX-License-Identifier: MIT
"""Header-only image encoders and adapters for tests: clip_header.py KIND OUT [key=value...].

KIND is a projector (mlp, gemma3, internvl, idefics3, qwen2vl_merger, qwen2.5vl_merger) or lora. Keys: size patch embd ff layers
heads out merge pixels, rms=1 (norms without a bias), gate=1; for lora: arch layers embd rank.
"""
import struct
import sys


def text(s):
    s = s.encode()
    return struct.pack("<Q", len(s)) + s


class Header:
    def __init__(self):
        self.kvs, self.tensors, self.offset = [], [], 0

    def u32(self, key, v):
        self.kvs.append(text(key) + struct.pack("<II", 4, v))

    def f32(self, key, v):
        self.kvs.append(text(key) + struct.pack("<If", 6, v))

    def bool(self, key, v):
        self.kvs.append(text(key) + struct.pack("<I?", 7, v))

    def str(self, key, v):
        self.kvs.append(text(key) + struct.pack("<I", 8) + text(v))

    def tensor(self, name, ne, kind=0):
        size = {0: 4, 1: 2}[kind]
        for n in ne:
            size *= n
        self.tensors.append(text(name) + struct.pack("<I", len(ne)) + struct.pack("<%dQ" % len(ne), *ne) +
                            struct.pack("<IQ", kind, self.offset))
        self.offset += (size + 31) // 32 * 32

    def write(self, path):
        with open(path, "wb") as f:
            f.write(b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(self.kvs)) + b"".join(self.kvs) +
                    b"".join(self.tensors))


def layers(w, c, embd):
    for i in range(c["layers"]):
        b = "v.blk.%d." % i
        for name in "q", "k", "v", "out":
            w.tensor(b + "attn_%s.weight" % name, [embd, embd], 1)
            w.tensor(b + "attn_%s.bias" % name, [embd])
        for name in "ln1", "ln2":
            w.tensor(b + name + ".weight", [embd])
            if not c.get("rms"):
                w.tensor(b + name + ".bias", [embd])
        if c.get("gate"):
            w.tensor(b + "ffn_gate.weight", [embd, c["ff"]], 1)
            w.tensor(b + "ffn_gate.bias", [c["ff"]])
        w.tensor(b + "ffn_up.weight", [embd, c["ff"]], 1)
        w.tensor(b + "ffn_up.bias", [c["ff"]])
        w.tensor(b + "ffn_down.weight", [c["ff"], embd], 1)
        w.tensor(b + "ffn_down.bias", [embd])


def projection(w, kind, c, embd):
    out = c["out"]
    if kind == "gemma3":
        w.tensor("mm.input_projection.weight", [out, embd], 1)
        w.tensor("mm.soft_emb_norm.weight", [embd])
    elif kind == "idefics3":
        w.tensor("mm.model.fc.weight", [embd * c["merge"] ** 2, out], 1)
    else:
        names = ("mm.model.mlp.1", "mm.model.mlp.3") if kind == "internvl" else ("mm.0", "mm.2")
        wide = embd if kind == "mlp" else 4 * embd
        w.tensor(names[0] + ".weight", [wide, out], 1)
        w.tensor(names[0] + ".bias", [out])
        w.tensor(names[1] + ".weight", [out, out], 1)
        w.tensor(names[1] + ".bias", [out])


def clip(kind, path, c):
    w, embd, patch = Header(), c["embd"], c["patch"]
    w.str("general.architecture", "clip")
    w.str("clip.projector_type", kind)
    w.bool("clip.has_vision_encoder", True)
    for key, name in (("image_size", "size"), ("patch_size", "patch"), ("embedding_length", "embd"),
                      ("feed_forward_length", "ff"), ("block_count", "layers"), ("attention.head_count", "heads"),
                      ("projection_dim", "out")):
        if name in c:
            w.u32("clip.vision." + key, c[name])
    if "pixels" in c:
        w.u32("clip.vision.image_max_pixels", c["pixels"])
    if "merge" in c:
        w.u32("clip.vision.projector.scale_factor", c["merge"])
    class_token = kind in ("mlp", "internvl")
    w.tensor("v.patch_embd.weight", [patch, patch, 3, embd], 1)
    if kind.startswith("qwen2"):
        w.tensor("v.patch_embd.weight.1", [patch, patch, 3, embd], 1)
    else:
        w.tensor("v.patch_embd.bias", [embd])
        w.tensor("v.position_embd.weight", [embd, (c["size"] // patch) ** 2 + class_token])
    if class_token:
        w.tensor("v.class_embd", [embd])
    if kind == "mlp":
        w.tensor("v.pre_ln.weight", [embd])
        w.tensor("v.pre_ln.bias", [embd])
    layers(w, c, embd)
    if not class_token:
        w.tensor("v.post_ln.weight", [embd])
        if not c.get("rms"):
            w.tensor("v.post_ln.bias", [embd])
    projection(w, kind, c, embd)
    w.write(path)


def lora(path, c):
    w, embd, rank = Header(), c["embd"], c["rank"]
    w.str("general.architecture", c.get("arch", "llama"))
    w.str("general.type", "adapter")
    w.str("adapter.type", "lora")
    w.f32("adapter.lora.alpha", 16.0)
    for i in range(c["layers"]):
        w.tensor("blk.%d.attn_q.weight.lora_a" % i, [embd, rank], 1)
        w.tensor("blk.%d.attn_q.weight.lora_b" % i, [rank, embd], 1)
    w.write(path)


def main():
    kind, path = sys.argv[1:3]
    c = {k: int(v) if v.isdigit() else v for k, v in (a.split("=") for a in sys.argv[3:])}
    if kind == "lora":
        lora(path, c)
    else:
        clip(kind, path, c)


main()
