# SPDX-License-Identifier: MIT
"""Checkpoints as Hugging Face has them, without data: hf_checkpoint.py MODEL FOLDER [index|file|shards].

config.json is the published one of each model, less what berth does not read; tensors have the names and
shapes of transformers' modules. "index": only model.safetensors.index.json, so that shapes must come from
the config; "file": one model.safetensors with its header; "shards": an index and two of them.
"""
import json
import os
import struct
import sys

MODELS = {
    "llama-3.2-1b": dict(
        model_type="llama", hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32,
        num_key_value_heads=8, head_dim=64, vocab_size=128256, max_position_embeddings=131072, rms_norm_eps=1e-5,
        rope_theta=500000.0, rope_scaling=dict(rope_type="llama3", factor=32.0), tie_word_embeddings=True),
    "qwen3-0.6b": dict(
        model_type="qwen3", hidden_size=1024, intermediate_size=3072, num_hidden_layers=28, num_attention_heads=16,
        num_key_value_heads=8, head_dim=128, vocab_size=151936, max_position_embeddings=40960, rms_norm_eps=1e-6,
        rope_theta=1000000, sliding_window=None, use_sliding_window=False, tie_word_embeddings=True),
    "qwen3-30b-a3b": dict(
        model_type="qwen3_moe", hidden_size=2048, intermediate_size=6144, moe_intermediate_size=768,
        num_hidden_layers=48, num_attention_heads=32, num_key_value_heads=4, head_dim=128, num_experts=128,
        num_experts_per_tok=8, norm_topk_prob=True, vocab_size=151936, max_position_embeddings=40960,
        rms_norm_eps=1e-6, rope_theta=1000000.0, tie_word_embeddings=False),
    "gemma-3-4b": dict(
        model_type="gemma3", text_config=dict(
            model_type="gemma3_text", hidden_size=2560, intermediate_size=10240, num_hidden_layers=34,
            num_attention_heads=8, num_key_value_heads=4, head_dim=256, sliding_window=1024, vocab_size=262144,
            max_position_embeddings=131072, rms_norm_eps=1e-6, rope_theta=1000000.0)),
    "phi-4-14b": dict(
        model_type="phi3", hidden_size=5120, intermediate_size=17920, num_hidden_layers=40, num_attention_heads=40,
        num_key_value_heads=10, vocab_size=100352, max_position_embeddings=16384, rms_norm_eps=1e-5,
        rope_theta=250000, sliding_window=None, tie_word_embeddings=False),
    "olmoe-1b-7b": dict(
        model_type="olmoe", hidden_size=2048, intermediate_size=1024, num_hidden_layers=16, num_attention_heads=16,
        num_key_value_heads=16, num_experts=64, num_experts_per_tok=8, vocab_size=50304,
        max_position_embeddings=4096, rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=False),
    "mistral-small-24b": dict(
        model_type="mistral", hidden_size=5120, intermediate_size=32768, num_hidden_layers=40,
        num_attention_heads=32, num_key_value_heads=8, head_dim=128, vocab_size=131072,
        max_position_embeddings=32768, rms_norm_eps=1e-5, rope_theta=100000000.0, sliding_window=None,
        tie_word_embeddings=False),
    "exaone-4-32b": dict(
        model_type="exaone4", hidden_size=5120, intermediate_size=27392, num_hidden_layers=64,
        num_attention_heads=40, num_key_value_heads=8, head_dim=128, sliding_window=4096, vocab_size=102400,
        max_position_embeddings=131072, rms_norm_eps=1e-5, rope_theta=1000000, tie_word_embeddings=False),
    "command-r7b": dict(
        model_type="cohere2", hidden_size=4096, intermediate_size=14336, num_hidden_layers=32,
        num_attention_heads=32, num_key_value_heads=8, head_dim=128, sliding_window=4096, vocab_size=256000,
        max_position_embeddings=132096, layer_norm_eps=1e-5, rope_theta=50000, tie_word_embeddings=True),
    "glm-4.5-air": dict(
        model_type="glm4_moe", hidden_size=4096, intermediate_size=10944, moe_intermediate_size=1408,
        num_hidden_layers=46, num_nextn_predict_layers=1, num_attention_heads=96, num_key_value_heads=8,
        head_dim=128, partial_rotary_factor=0.5, n_routed_experts=128, n_shared_experts=1, num_experts_per_tok=8,
        first_k_dense_replace=1, norm_topk_prob=True, routed_scaling_factor=1.0, attention_bias=True,
        vocab_size=151552, max_position_embeddings=131072, rms_norm_eps=1e-5, rope_theta=1000000,
        tie_word_embeddings=False),
    "deepseek-v2-lite": dict(
        model_type="deepseek_v2", hidden_size=2048, intermediate_size=10944, moe_intermediate_size=1408,
        num_hidden_layers=27, num_attention_heads=16, num_key_value_heads=16, kv_lora_rank=512, q_lora_rank=None,
        qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128, n_routed_experts=64, n_shared_experts=2,
        num_experts_per_tok=6, first_k_dense_replace=1, norm_topk_prob=False, routed_scaling_factor=1.0,
        scoring_func="softmax", vocab_size=102400, max_position_embeddings=163840, rms_norm_eps=1e-6,
        rope_theta=10000, tie_word_embeddings=False),
}


def attention(c, kind):
    e, h, kv = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"]
    d = c.get("head_dim") or e // h
    if "kv_lora_rank" in c:
        qk = c["qk_nope_head_dim"] + c["qk_rope_head_dim"]
        yield "q_proj.weight", [h * qk, e]
        yield "kv_a_proj_with_mqa.weight", [c["kv_lora_rank"] + c["qk_rope_head_dim"], e]
        yield "kv_a_layernorm.weight", [c["kv_lora_rank"]]
        yield "kv_b_proj.weight", [h * (c["qk_nope_head_dim"] + c["v_head_dim"]), c["kv_lora_rank"]]
        yield "o_proj.weight", [e, h * c["v_head_dim"]]
        return
    if kind == "phi3":
        yield "qkv_proj.weight", [(h + 2 * kv) * d, e]
    else:
        for name, n in ("q", h), ("k", kv), ("v", kv):
            yield name + "_proj.weight", [n * d, e]
            if c.get("attention_bias"):
                yield name + "_proj.bias", [n * d]
    yield "o_proj.weight", [e, h * d]
    if kind == "olmoe":
        yield "q_norm.weight", [h * d]
        yield "k_norm.weight", [kv * d]
    elif kind.startswith(("qwen3", "gemma3", "exaone4")):
        yield "q_norm.weight", [d]
        yield "k_norm.weight", [d]


def gated(front, e, ff):
    yield front + "gate_proj.weight", [ff, e]
    yield front + "up_proj.weight", [ff, e]
    yield front + "down_proj.weight", [e, ff]


def feed_forward(c, kind, i):
    e = c["hidden_size"]
    n = c.get("num_experts") or c.get("n_routed_experts")
    if not n or i < c.get("first_k_dense_replace", 0):
        if kind == "phi3":
            yield "gate_up_proj.weight", [2 * c["intermediate_size"], e]
            yield "down_proj.weight", [e, c["intermediate_size"]]
        else:
            yield from gated("", e, c["intermediate_size"])
        return
    ff = c.get("moe_intermediate_size") or c["intermediate_size"]
    yield "gate.weight", [n, e]
    if kind == "glm4_moe":
        yield "gate.e_score_correction_bias", [n]
    for k in range(n):
        yield from gated("experts.%d." % k, e, ff)
    if c.get("n_shared_experts"):
        yield from gated("shared_experts.", e, ff * c["n_shared_experts"])


def norms(kind):
    if kind == "cohere2":
        return ["input_layernorm"]
    if kind == "exaone4":
        return ["post_attention_layernorm", "post_feedforward_layernorm"]
    if kind.startswith("gemma3"):
        return ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                "post_feedforward_layernorm"]
    return ["input_layernorm", "post_attention_layernorm"]


def tensors(c, front):
    kind, e, v = c["model_type"], c["hidden_size"], c["vocab_size"]
    yield front + "embed_tokens.weight", [v, e]
    yield front + "norm.weight", [e]
    if c.get("tie_word_embeddings") is False:
        yield "lm_head.weight", [v, e]
    n = c["num_hidden_layers"]
    for i in range(n + c.get("num_nextn_predict_layers", 0)):
        layer = "%slayers.%d." % (front, i)
        for name in norms(kind):
            yield layer + name + ".weight", [e]
        for name, shape in attention(c, kind):
            yield layer + "self_attn." + name, shape
        for name, shape in feed_forward(c, kind, i):
            yield layer + "mlp." + name, shape
        if i >= n:
            yield layer + "eh_proj.weight", [e, 2 * e]
            for name in "enorm", "hnorm", "shared_head.norm":
                yield layer + name + ".weight", [e]
            yield layer + "embed_tokens.weight", [v, e]
            yield layer + "shared_head.head.weight", [v, e]


def write_safetensors(path, names):
    at, header = 0, {"__metadata__": {"format": "pt"}}
    for name, shape in names:
        size = 2
        for n in shape:
            size *= n
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)


def main():
    c, folder, how = MODELS[sys.argv[1]], sys.argv[2], (sys.argv + ["index"])[3]
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(c, f, indent=2)
    text = c.get("text_config", c)
    names = list(tensors(text, "language_model.model." if "text_config" in c else "model."))
    if "text_config" in c:
        names.append(("vision_tower.vision_model.embeddings.patch_embedding.weight", [1152, 3, 14, 14]))
    if how == "file":
        write_safetensors(os.path.join(folder, "model.safetensors"), names)
        return
    files = ["model-0000%d-of-00002.safetensors" % (i + 1) for i in range(2)]
    half = len(names) // 2
    weight_map = {name: files[i >= half] for i, (name, _) in enumerate(names)}
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as f:
        json.dump({"metadata": {"total_size": 1}, "weight_map": weight_map}, f)
    if how == "shards":
        write_safetensors(os.path.join(folder, files[0]), names[:half])
        write_safetensors(os.path.join(folder, files[1]), names[half:])


main()
