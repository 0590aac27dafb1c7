#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mkheader.py DIR [NAME...]: header-only GGUF files of published models, for the planner's tests.

A header holds the keys and the tensor table that the engine's loader asks for, and no weights. Shapes
and keys are those of the published models (each row's source is the model's own config.json); the mix
of quantized types is the usual one of a Q4_K_M file: the value projections and the second half of the
feed-forward get more bits in the layers that matter, types fall back where a row is no multiple of 256.
The vocabulary has its true size and no words.

headers-own.tar.xz, headers-forms.tar.xz and strange-headers.tar.xz are what it writes. truth-own.tar.xz is what the
engine 0.7.0 allocates for them, one configuration a line as in truth-dev.tar.xz: measured without allocating, on its CPU,
on lavapipe and on a simulated device with CUDA's rules, by a harness that reproduces every sim and cpu row of truth-dev
byte for byte. truth-forms.tar.xz is measured the same way, in configurations drawn by lot.
"""
import os
import struct
import sys

BLOCK = {  # type: (id in the file, weights and bytes per block)
    'F32': (0, 1, 4), 'F16': (1, 1, 2), 'Q4_0': (2, 32, 18), 'Q5_0': (6, 32, 22), 'Q5_1': (7, 32, 24), 'Q8_0': (8, 32, 34),
    'Q2_K': (10, 256, 84), 'Q3_K': (11, 256, 110), 'Q4_K': (12, 256, 144), 'Q5_K': (13, 256, 176), 'Q6_K': (14, 256, 210),
    'BF16': (30, 1, 2), 'MXFP4': (39, 32, 17), 'IQ4_XS': (23, 256, 136), 'IQ4_NL': (20, 32, 18),
}
FALLBACK = {'Q2_K': 'IQ4_NL', 'Q3_K': 'IQ4_NL', 'Q4_K': 'Q5_0', 'Q5_K': 'Q5_1', 'Q6_K': 'Q8_0', 'IQ4_XS': 'IQ4_NL'}
MIXES = {  # name: (most tensors, those with more bits, the output, file type)
    'Q4_K_M': ('Q4_K', 'Q6_K', 'Q6_K', 15), 'Q5_K_M': ('Q5_K', 'Q6_K', 'Q6_K', 17), 'Q2_K': ('Q2_K', 'Q3_K', 'Q6_K', 10),
    'Q8_0': ('Q8_0', 'Q8_0', 'Q8_0', 7), 'Q4_0': ('Q4_0', 'Q4_0', 'Q6_K', 2), 'F16': ('F16', 'F16', 'F16', 1),
    'BF16': ('BF16', 'BF16', 'BF16', 32), 'Q6_K': ('Q6_K', 'Q6_K', 'Q6_K', 18), 'IQ4_XS': ('IQ4_XS', 'Q5_K', 'Q6_K', 30),
    'MXFP4': ('Q8_0', 'Q8_0', 'Q8_0', 38),
}
FINE = ('attn_v.weight', 'attn_qkv.weight', 'ffn_down.weight', 'ffn_down_exps.weight', 'ffn_down_shexp.weight')
FULL = ('norm', 'ffn_gate_inp', 'ssm_conv1d', 'shortconv.conv', 'ssm_a', 'ssm_d', 'time_mix_w', 'time_mix_a', 'time_mix_v',
        'time_mix_g', 'lerp', 'altup', 'laurel', 'token_types', 'position_embd', 'time_mix_k_', 'time_mix_r_k', 'rope_',
        'indexer.proj', 'dense_')


def type_of(mix, name, ne, layer, n_layers):
    most, more, output, _ = MIXES[mix]
    short = name.split('.', 2)[2] if name.startswith('blk.') else name
    if len(ne) == 1 or not name.endswith('.weight') or any(f in short for f in FULL):
        return 'F32'
    if 'attn_k_b' in name or 'attn_v_b' in name:
        kind = 'Q8_0'
    elif mix == 'MXFP4' and short.endswith('_exps.weight'):
        kind = 'MXFP4'
    elif name == 'output.weight':
        kind = output
    elif short in FINE and (layer < n_layers // 8 or layer >= 7 * n_layers // 8 or (layer - n_layers // 8) % 3 == 2):
        kind = more
    else:
        kind = most
    if ne[0] % BLOCK[kind][1]:
        kind = FALLBACK.get(kind, 'F16')
    return kind if ne[0] % BLOCK[kind][1] == 0 else 'F16'


class Model:
    def __init__(self, name, arch, n_vocab, n_layers, mix='Q4_K_M', tied=False, **keys):
        self.name, self.arch, self.n_vocab, self.n_layers, self.mix = name, arch, n_vocab, n_layers, mix
        self.keys = {'block_count': n_layers, 'vocab_size': n_vocab}
        self.keys.update({k.replace('__', '.'): v for k, v in keys.items()})
        self.n_embd = self.keys['embedding_length']
        self.tensors = []
        self.tied = tied

    def add(self, name, *ne, suffix='.weight'):
        self.tensors.append((name + suffix, ne))

    def bias(self, name, *ne):
        self.add(name, *ne, suffix='.bias')

    def ends(self, norm='output_norm', norm_bias=False):
        """Embedding, last norm, output."""
        self.add('token_embd', self.n_embd, self.n_vocab)
        self.add(norm, self.n_embd)
        if norm_bias:
            self.bias(norm, self.n_embd)
        if not self.tied:
            self.add('output', self.n_embd, self.n_vocab)

    def k(self, key):
        return self.keys[key]

    def heads(self, il, kv=False):
        v = self.keys['attention.head_count_kv' if kv else 'attention.head_count']
        return v[il] if isinstance(v, list) else v

    # ---- blocks of one layer ----
    def attention(self, il, bias='', qk_norm=None, q_width=1, head=None, names=('attn_norm',), after=()):
        b = f'blk.{il}.'
        hk = head or self.keys.get('attention.key_length') or self.n_embd // self.heads(il)
        nq, nk = hk * self.heads(il), hk * self.heads(il, True)
        for n in names:
            self.add(b + n, self.n_embd)
        self.add(b + 'attn_q', self.n_embd, nq * q_width)
        self.add(b + 'attn_k', self.n_embd, nk)
        self.add(b + 'attn_v', self.n_embd, nk)
        for c, n in (('q', nq), ('k', nk), ('v', nk)):
            if c in bias:
                self.bias(b + 'attn_' + c, n)
        self.add(b + 'attn_output', nq, self.n_embd)
        if 'o' in bias:
            self.bias(b + 'attn_output', self.n_embd)
        if qk_norm == 'head':
            self.add(b + 'attn_q_norm', hk)
            self.add(b + 'attn_k_norm', hk)
        elif qk_norm == 'all':
            self.add(b + 'attn_q_norm', nq)
            self.add(b + 'attn_k_norm', nk)
        elif qk_norm == 'each':
            self.add(b + 'attn_q_norm', hk, self.heads(il))
            self.add(b + 'attn_k_norm', hk, self.heads(il, True))
        for n in after:
            self.add(b + n, self.n_embd)

    def mla(self, il, q_lora=True):
        b, h = f'blk.{il}.', self.heads(il)
        lora, rot = self.k('attention.kv_lora_rank'), self.k('rope.dimension_count')
        k, v = self.k('attention.key_length_mla'), self.k('attention.value_length_mla')
        self.add(b + 'attn_norm', self.n_embd)
        if q_lora:
            q = self.k('attention.q_lora_rank')
            self.add(b + 'attn_q_a_norm', q)
            self.add(b + 'attn_q_a', self.n_embd, q)
            self.add(b + 'attn_q_b', q, h * k)
        else:
            self.add(b + 'attn_q', self.n_embd, h * k)
        self.add(b + 'attn_kv_a_norm', lora)
        self.add(b + 'attn_kv_a_mqa', self.n_embd, lora + rot)
        self.add(b + 'attn_k_b', k - rot, lora, h)
        self.add(b + 'attn_v_b', lora, v, h)
        self.add(b + 'attn_output', h * v, self.n_embd)

    def indexer(self, il):
        b, n, d = f'blk.{il}.indexer.', self.k('attention.indexer.head_count'), self.k('attention.indexer.key_length')
        self.add(b + 'k_norm', d)
        self.bias(b + 'k_norm', d)
        self.add(b + 'proj', self.n_embd, n)
        self.add(b + 'attn_k', self.n_embd, d)
        self.add(b + 'attn_q_b', self.k('attention.q_lora_rank'), n * d)

    def ffn(self, il, width=None, gate=True, norm='ffn_norm', after=()):
        b = f'blk.{il}.'
        w = width or self.k('feed_forward_length')
        if norm:
            self.add(b + norm, self.n_embd)
        if gate:
            self.add(b + 'ffn_gate', self.n_embd, w)
        self.add(b + 'ffn_up', self.n_embd, w)
        self.add(b + 'ffn_down', w, self.n_embd)
        for n in after:
            self.add(b + n, self.n_embd)

    def experts(self, il, width, shared=0, probs=False, gate=True, norm='ffn_norm', bias=False):
        b, n = f'blk.{il}.', self.k('expert_count')
        if norm:
            self.add(b + norm, self.n_embd)
        self.add(b + 'ffn_gate_inp', self.n_embd, n)
        if probs:
            self.bias(b + 'exp_probs_b', n)
        if gate:
            self.add(b + 'ffn_gate_exps', self.n_embd, width, n)
        self.add(b + 'ffn_up_exps', self.n_embd, width, n)
        self.add(b + 'ffn_down_exps', width, self.n_embd, n)
        if bias:
            self.bias(b + 'ffn_gate_inp', n)
            for t, w in (('gate', width), ('up', width), ('down', self.n_embd)):
                self.bias(b + f'ffn_{t}_exps', w, n)
        if shared:
            if gate:
                self.add(b + 'ffn_gate_shexp', self.n_embd, shared)
            self.add(b + 'ffn_up_shexp', self.n_embd, shared)
            self.add(b + 'ffn_down_shexp', shared, self.n_embd)

    def mamba2(self, il, norm=True, group_norm=True):
        b = f'blk.{il}.'
        inner, state, groups = self.k('ssm.inner_size'), self.k('ssm.state_size'), self.k('ssm.group_count')
        rank, conv = self.k('ssm.time_step_rank'), self.k('ssm.conv_kernel')
        width = inner + 2 * groups * state
        if norm:
            self.add(b + 'attn_norm', self.n_embd)
        self.add(b + 'ssm_in', self.n_embd, inner + width + rank)
        self.add(b + 'ssm_conv1d', conv, width)
        self.bias(b + 'ssm_conv1d', width)
        self.bias(b + 'ssm_dt', rank)
        self.add(b + 'ssm_a', 1, rank, suffix='')
        self.add(b + 'ssm_d', 1, rank, suffix='')
        if group_norm:
            self.add(b + 'ssm_norm', inner // groups, groups)
        self.add(b + 'ssm_out', inner, self.n_embd)

    def delta_net(self, il, scale):
        """Qwen 3.5's gated delta net."""
        b = f'blk.{il}.'
        state, groups, rank = self.k('ssm.state_size'), self.k('ssm.group_count'), self.k('ssm.time_step_rank')
        key, value = state * groups, state * rank
        self.add(b + 'attn_norm', self.n_embd)
        self.add(b + 'post_attention_norm', self.n_embd)
        self.add(b + 'attn_qkv', self.n_embd, 2 * key + value)
        self.add(b + 'attn_gate', self.n_embd, value)
        self.add(b + 'ssm_conv1d', self.k('ssm.conv_kernel'), 2 * key + value)
        self.bias(b + 'ssm_dt', rank)
        self.add(b + 'ssm_a', rank, suffix='')
        self.add(b + 'ssm_beta', self.n_embd, rank)
        self.add(b + 'ssm_alpha', self.n_embd, rank)
        self.add(b + 'ssm_norm', state)
        self.add(b + 'ssm_out', value, self.n_embd)
        if scale:
            self.add(b + 'attn_qkv', 1, suffix='.scale')
            self.add(b + 'attn_qkv', 1, suffix='.input_scale')

    def kda(self, il, fused=False):
        """Kimi's delta attention."""
        b, h, d, conv = f'blk.{il}.', self.heads(il), self.k('kda.head_dim'), self.k('ssm.conv_kernel')
        self.add(b + 'attn_norm', self.n_embd)
        for c in 'qkv':
            self.add(b + f'ssm_conv1d_{c}', conv, 1, d * h, 1)
        if fused:
            self.add(b + 'attn_qkv', self.n_embd, 3 * d * h)
            self.add(b + 'attn_qkv', 1, suffix='.scale')
        else:
            for c in 'qkv':
                self.add(b + f'attn_{c}', self.n_embd, d * h)
        self.add(b + 'ssm_f_a', self.n_embd, d)
        self.add(b + 'ssm_f_b', d, d * h)
        self.add(b + 'ssm_beta', self.n_embd, h)
        self.add(b + 'ssm_a', 1, h, 1, 1, suffix='')
        self.bias(b + 'ssm_dt', d * h)
        self.add(b + 'ssm_g_a', self.n_embd, d)
        self.add(b + 'ssm_g_b', d, d * h)
        self.add(b + 'ssm_norm', d)
        self.add(b + 'attn_output', d * h, self.n_embd)

    def short_conv(self, il):
        b = f'blk.{il}.'
        self.add(b + 'attn_norm', self.n_embd)
        self.add(b + 'shortconv.conv', self.k('shortconv.l_cache'), self.n_embd)
        self.add(b + 'shortconv.in_proj', self.n_embd, 3 * self.n_embd)
        self.add(b + 'shortconv.out_proj', self.n_embd, self.n_embd)

    def nextn(self, il, head_norm=True):
        b = f'blk.{il}.nextn.'
        self.add(b + 'eh_proj', 2 * self.n_embd, self.n_embd)
        self.add(b + 'enorm', self.n_embd)
        self.add(b + 'hnorm', self.n_embd)
        if head_norm:
            self.add(b + 'shared_head_norm', self.n_embd)

    # ---- the file ----
    def write(self, path):
        def text(s):
            b = s.encode()
            return struct.pack('<Q', len(b)) + b

        def value(v):
            if isinstance(v, bool):
                return struct.pack('<IB', 7, v)
            if isinstance(v, float):
                return struct.pack('<If', 6, v)
            if isinstance(v, str):
                return struct.pack('<I', 8) + text(v)
            if isinstance(v, list):
                kind, code = (7, 'B') if isinstance(v[0], bool) else (5, 'i')
                return struct.pack('<IIQ', 9, kind, len(v)) + struct.pack(f'<{len(v)}{code}', *v)
            return struct.pack('<II', 4, v)

        keys = {'general.architecture': self.arch, 'general.name': self.name, 'general.file_type': MIXES[self.mix][3],
                'general.quantization_version': 2, 'tokenizer.ggml.model': 'no_vocab'}
        for k, v in self.keys.items():
            keys[k if k.startswith('tokenizer.') else f'{self.arch}.{k}'] = v
        out = [struct.pack('<IIQQ', 0x46554747, 3, len(self.tensors), len(keys))]
        for k, v in keys.items():
            out.append(text(k) + value(v))
        offset = 0
        for name, ne in self.tensors:
            layer = int(name.split('.')[1]) if name.startswith('blk.') else 0
            kind, block, size = BLOCK[type_of(self.mix, name, ne, layer, self.n_layers)]
            out.append(text(name) + struct.pack(f'<I{len(ne)}QIQ', len(ne), *ne, kind, offset))
            count = 1
            for n in ne:
                count *= n
            offset += (count // block * size + 31) & ~31
        with open(path, 'wb') as f:
            f.write(b''.join(out))


def common(ctx, embd, ff, heads, kv, eps='rms', rope=10000.0, head=0, **more):
    k = {'context_length': ctx, 'embedding_length': embd, 'feed_forward_length': ff, 'attention__head_count': heads,
         'attention__head_count_kv': kv, 'rope__freq_base': rope,
         'attention__layer_norm_rms_epsilon' if eps == 'rms' else 'attention__layer_norm_epsilon': 1e-5}
    if head:
        k.update(attention__key_length=head, attention__value_length=head)
    k.update(more)
    return k


def moe(n, used, width, **more):
    return dict(expert_count=n, expert_used_count=used, expert_feed_forward_length=width, **more)


def ssm(conv, inner, state, rank, groups):
    return dict(ssm__conv_kernel=conv, ssm__inner_size=inner, ssm__state_size=state, ssm__time_step_rank=rank, ssm__group_count=groups)


# ---- families: a function for each kind of layer stack ----
def dense(name, arch, vocab, n, bias='', qk_norm=None, freqs=0, mix='Q4_K_M', tied=False, **keys):
    """llama and whatever differs from it by biases and norms only."""
    m = Model(name, arch, vocab, n, mix, tied, **keys)
    m.ends()
    if freqs:
        m.add('rope_freqs', freqs)
    for il in range(n):
        m.attention(il, bias, qk_norm)
        m.ffn(il)
    return m


def sparse(name, arch, vocab, n, width, shared=0, probs=False, bias='', qk_norm=None, dense_lead=0, expert_bias=False,
           post='ffn_norm', sinks=False, mix='Q4_K_M', tied=False, nextn=0, **keys):
    """Attention, then experts."""
    m = Model(name, arch, vocab, n, mix, tied, **keys)
    m.ends()
    for il in range(n):
        m.attention(il, bias, qk_norm)
        if sinks:
            m.add(f'blk.{il}.attn_sinks', m.heads(il))
        if il < dense_lead:
            m.ffn(il, norm=post)
        else:
            m.experts(il, width, shared, probs, norm=post, bias=expert_bias)
        if il >= n - nextn:
            m.nextn(il)
    return m


def command_r(name, vocab, n, **keys):
    m = Model(name, 'command-r', vocab, n, tied=True, **keys)
    m.ends()
    for il in range(n):
        m.attention(il, qk_norm='each' if n >= 64 else None)
        m.ffn(il, norm=None)
    return m


def cohere2(name, vocab, n, mix='Q4_K_M', **keys):
    m = Model(name, 'cohere2', vocab, n, mix, tied=True, **keys)
    m.ends()
    for il in range(n):
        m.attention(il)
        m.ffn(il, norm=None)
    return m


def gemma(name, arch, vocab, n, qk_norm='head', mix='Q4_K_M', dense23=0, **keys):
    """gemma2, gemma3, gemma-embedding: a norm before and after each part."""
    m = Model(name, arch, vocab, n, mix, True, **keys)
    m.ends()
    if dense23:
        m.add('dense_2', m.n_embd, dense23)
        m.add('dense_3', dense23, m.n_embd)
    for il in range(n):
        m.attention(il, qk_norm=qk_norm, after=('post_attention_norm',))
        m.ffn(il, after=('post_ffw_norm',))
    return m


def post_norm(name, arch, vocab, n, qk_norm, mix='Q4_K_M', tied=False, **keys):
    """olmo2, exaone4: norms only after each part."""
    m = Model(name, arch, vocab, n, mix, tied, **keys)
    m.ends()
    for il in range(n):
        m.attention(il, qk_norm=qk_norm, names=(), after=('post_attention_norm',))
        m.ffn(il, norm=None, after=('post_ffw_norm',))
    return m


def seed(name, vocab, n, **keys):
    m = Model(name, 'seed_oss', vocab, n, **keys)
    m.ends()
    for il in range(n):
        m.attention(il, bias='qkv', after=('post_attention_norm',))
        m.ffn(il, norm=None)
    return m


def deepseek(name, arch, vocab, n, width, lead, q_lora=True, indexer=False, probs=True, mix='Q4_K_M', nextn=0, **keys):
    """deepseek2, glm-dsa: compressed attention, then experts."""
    m = Model(name, arch, vocab, n, mix, **keys)
    m.ends()
    for il in range(n):
        m.mla(il, q_lora)
        if indexer:
            m.indexer(il)
        if il < lead:
            m.ffn(il)
        else:
            m.experts(il, width, width * m.keys.get('expert_shared_count', 0), probs)
        if il >= n - nextn:
            m.nextn(il)
    return m


def grok(name, vocab, n, width, dense_too, post, **keys):
    m = Model(name, 'grok', vocab, n, tied=False, **keys)
    m.ends()
    for il in range(n):
        m.attention(il, after=('attn_output_norm',))
        if dense_too:
            m.ffn(il, norm=None)
        m.experts(il, width)
        m.add(f'blk.{il}.{post}', m.n_embd)
    return m


def kimi_linear(name, vocab, n, width, fused=False, **keys):
    m = Model(name, 'kimi-linear', vocab, n, **keys)
    m.ends()
    for il in range(n):
        if m.heads(il, True):
            m.mla(il, q_lora=False)
        else:
            m.kda(il, fused)
        if il < m.k('leading_dense_block_count'):
            m.ffn(il)
        else:
            m.experts(il, width, width, True)
    return m


def lfm2(name, arch, vocab, n, lead, width=0, mix='Q4_K_M', **keys):
    m = Model(name, arch, vocab, n, mix, True, **keys)
    m.ends(norm='token_embd_norm')
    for il in range(n):
        if m.heads(il, True):
            m.attention(il, qk_norm='head')
        else:
            m.short_conv(il)
        if il < lead:
            m.ffn(il)
        else:
            m.experts(il, width, probs=True)
    return m


def mamba2(name, vocab, n, tied=True, mix='Q4_K_M', **keys):
    m = Model(name, 'mamba2', vocab, n, mix, tied, **keys)
    m.ends()
    for il in range(n):
        m.mamba2(il)
    return m


def granite_hybrid(name, vocab, n, mix='Q4_K_M', tied=True, **keys):
    m = Model(name, 'granitehybrid', vocab, n, mix, tied, **keys)
    m.ends()
    for il in range(n):
        if m.heads(il, True):
            m.attention(il)
        else:
            m.mamba2(il)
        if m.keys.get('expert_count'):
            m.experts(il, m.k('feed_forward_length'), m.keys.get('expert_shared_feed_forward_length', 0))
        else:
            m.ffn(il)
    return m


def nemotron_h(name, arch, vocab, pattern, width=0, shared=0, mix='Q4_K_M', latent=0, **keys):
    """One part a layer: M state, * attention, E experts, - dense."""
    n = len(pattern)
    kv = keys.pop('kv')
    ff = keys.pop('ff')
    keys['attention__head_count_kv'] = [kv if c == '*' else 0 for c in pattern]
    keys['feed_forward_length'] = [ff if c in 'E-' else 0 for c in pattern]
    m = Model(name, arch, vocab, n, mix, **keys)
    m.ends()
    for il, c in enumerate(pattern):
        if c == 'M':
            m.mamba2(il)
        elif c == '*':
            m.attention(il)
        elif c == '-':
            m.ffn(il, ff, gate=False, norm='attn_norm')
        elif not latent:
            m.experts(il, width, shared, True, gate=False, norm='attn_norm')
        else:
            b, e = f'blk.{il}.', m.k('expert_count')
            m.add(b + 'attn_norm', m.n_embd)
            m.add(b + 'ffn_gate_inp', m.n_embd, e)
            m.bias(b + 'exp_probs_b', e)
            m.add(b + 'ffn_latent_down', m.n_embd, latent)
            m.add(b + 'ffn_latent_up', latent, m.n_embd)
            m.add(b + 'ffn_up_exps', latent, width, e)
            m.add(b + 'ffn_down_exps', width, latent, e)
            m.add(b + 'ffn_up_shexp', m.n_embd, shared)
            m.add(b + 'ffn_down_shexp', shared, m.n_embd)
    return m


def qwen35(name, vocab, n, nextn=0, scale=True, mix='Q4_K_M', tied=False, **keys):
    m = Model(name, 'qwen35', vocab, n, mix, tied, **keys)
    m.ends()
    for il in range(n):
        if il >= n - nextn or (il + 1) % 4 == 0:
            m.attention(il, qk_norm='head', q_width=2, names=('attn_norm', 'post_attention_norm'))
        else:
            m.delta_net(il, scale)
        m.ffn(il, norm=None)
        if il >= n - nextn:
            m.nextn(il)
    return m


def maverick(name, vocab, n, **keys):
    m = Model(name, 'llama4', vocab, n, **keys)
    m.ends()
    m.add('rope_freqs', 64)
    for il in range(n):
        m.attention(il)
        if il % 2:
            m.experts(il, m.k('expert_feed_forward_length'), m.k('expert_feed_forward_length'))
        else:
            m.ffn(il)
    return m


def phi3(name, vocab, n, rot, **keys):
    m = Model(name, 'phi3', vocab, n, **keys)
    m.ends()
    if rot:
        m.add('rope_factors_long', rot // 2)
        m.add('rope_factors_short', rot // 2)
    for il in range(n):
        b, hk = f'blk.{il}.', m.n_embd // m.heads(il)
        m.add(b + 'attn_norm', m.n_embd)
        m.add(b + 'attn_qkv', m.n_embd, hk * (m.heads(il) + 2 * m.heads(il, True)))
        m.add(b + 'attn_output', m.n_embd, m.n_embd)
        m.add(b + 'ffn_norm', m.n_embd)
        m.add(b + 'ffn_up', m.n_embd, 2 * m.k('feed_forward_length'))
        m.add(b + 'ffn_down', m.k('feed_forward_length'), m.n_embd)
    return m


def bert(name, vocab, n, types, positions, mix='F16', **keys):
    m = Model(name, 'bert', vocab, n, mix, **keys)
    d, ff = m.n_embd, m.k('feed_forward_length')
    m.add('token_embd', d, vocab)
    m.add('token_types', d, types)
    m.add('position_embd', d, positions)
    m.add('token_embd_norm', d)
    m.bias('token_embd_norm', d)
    for il in range(n):
        b = f'blk.{il}.'
        for t, i, o in (('attn_q', d, d), ('attn_k', d, d), ('attn_v', d, d), ('attn_output', d, d), ('ffn_up', d, ff), ('ffn_down', ff, d)):
            m.add(b + t, i, o)
            m.bias(b + t, o)
        for t in ('attn_output_norm', 'layer_output_norm'):
            m.add(b + t, d)
            m.bias(b + t, d)
    return m


def falcon_h1(name, vocab, n, **keys):
    m = Model(name, 'falcon-h1', vocab, n, **keys)
    m.ends()
    for il in range(n):
        m.mamba2(il, norm=False, group_norm=False)
        m.add(f'blk.{il}.ssm_norm', m.k('ssm.inner_size') // m.k('ssm.group_count'), m.k('ssm.group_count'))
        m.attention(il)
        m.ffn(il, norm=None)
        m.add(f'blk.{il}.ffn_norm', m.n_embd, suffix='')
    return m


def at(n, where, value):
    return [value if i in where else 0 for i in range(n)]


def models():
    yield command_r('command-r-35b', 256000, 40, logit_scale=0.0625, **common(131072, 8192, 22528, 64, 64, 'ln', 8000000.0))
    yield command_r('command-r-plus-104b', 256000, 64, logit_scale=0.8333, **common(131072, 12288, 33792, 96, 8, 'ln', 75000000.0))
    yield gemma('embeddinggemma-300m', 'gemma-embedding', 262144, 24, mix='Q8_0', dense23=3072, attention__sliding_window=512,
                dense_2_feat_in=768, dense_2_feat_out=3072, dense_3_feat_in=3072, dense_3_feat_out=768, pooling_type=1,
                **common(2048, 768, 1152, 3, 1, rope=1000000.0, head=256))
    glm5 = dict(attention__kv_lora_rank=512, attention__q_lora_rank=2048, attention__key_length=576, attention__value_length=512,
                attention__key_length_mla=256, attention__value_length_mla=256, rope__dimension_count=64,
                attention__indexer__head_count=32, attention__indexer__key_length=128, attention__indexer__top_k=2048,
                leading_dense_block_count=3, expert_shared_count=1, expert_weights_scale=2.5, expert_weights_norm=True,
                expert_gating_func=2, nextn_predict_layers=1, **moe(256, 8, 2048))
    yield deepseek('glm-5', 'glm-dsa', 154880, 79, 2048, 3, indexer=True, nextn=1, **glm5, **common(202752, 6144, 12288, 64, 1, rope=1000000.0))
    yield deepseek('glm-5.2', 'glm-dsa', 154880, 79, 2048, 3, indexer=True, nextn=1, mix='Q2_K', **glm5,
                   **common(1048576, 6144, 12288, 64, 1, rope=8000000.0))
    granite = dict(embedding_scale=12.0, attention__scale=0.0078125, residual_scale=0.22, logit_scale=16.0, rope__scaling__finetuned=False)
    yield granite_hybrid('granite-4.0-h-small', 100352, 40, expert_shared_feed_forward_length=1536, **granite, **ssm(4, 8192, 128, 128, 1),
                         **moe(72, 10, 768), **common(131072, 4096, 768, 32, at(40, (5, 15, 25, 35), 8), head=128))
    yield granite_hybrid('granite-4.0-h-tiny', 100352, 40, mix='Q8_0', expert_shared_feed_forward_length=1024, **granite,
                         **ssm(4, 3072, 128, 48, 1), **moe(64, 6, 512), **common(131072, 1536, 512, 12, at(40, (5, 15, 25, 35), 4), head=128))
    yield granite_hybrid('granite-4.0-h-1b', 100352, 40, **granite, **ssm(4, 3072, 128, 48, 1),
                         **common(131072, 1536, 4096, 12, at(40, (5, 15, 25, 35), 4), head=128))
    yield grok('grok-1', 131072, 64, 32768, False, 'layer_output_norm', expert_count=8, expert_used_count=2,
               **common(8192, 6144, 32768, 48, 8))
    yield grok('grok-2', 131072, 64, 16384, True, 'post_ffw_norm', **moe(8, 2, 16384), **common(131072, 8192, 32768, 64, 8, rope=208533496.0))
    yield dense('hunyuan-7b', 'hunyuan-dense', 128167, 32, qk_norm='head', tied=True, **common(262144, 4096, 14336, 32, 8, rope=11158840.0, head=128))
    yield sparse('hunyuan-a13b', 'hunyuan-moe', 128167, 32, 3072, 3072, qk_norm='head', tied=True, expert_shared_feed_forward_length=3072,
                 **moe(64, 8, 3072), **common(262144, 4096, 3072, 32, 8, rope=11158840.0, head=128))
    yield kimi_linear('kimi-linear-48b-a3b', 163840, 27, 1024, **KIMI_LINEAR)
    yield lfm2('lfm2-8b-a1b', 'lfm2moe', 65536, 24, 2, 1792, shortconv__l_cache=3, leading_dense_block_count=2, expert_gating_func=2,
               **moe(32, 4, 1792), **common(128000, 2048, 7168, 32, at(24, (2, 6, 10, 14, 18, 21), 8), rope=1000000.0, head=64))
    # No published file has the window yet; the engine reads it for this family.
    yield lfm2('lfm2-1.2b-sliding', 'lfm2', 65536, 16, 99, shortconv__l_cache=3, attention__sliding_window=1024,
               **common(128000, 2048, 8192, 32, at(16, (2, 5, 8, 10, 12, 14), 8), rope=1000000.0, head=64))
    yield mamba2('mamba2-2.7b', 50288, 64, **ssm(4, 5120, 128, 80, 1), **common(1048576, 2560, 0, 0, 0))
    yield mamba2('mamba-codestral-7b', 32768, 64, tied=False, mix='Q8_0', **ssm(4, 8192, 128, 128, 8), **common(256000, 4096, 0, 0, 0))
    yarn = dict(attention__temperature_scale=0.1, rope__scaling__type='yarn', rope__scaling__factor=16.0,
                rope__scaling__original_context_length=16384, rope__scaling__yarn_log_multiplier=1.0)
    yield dense('ministral-3-8b', 'mistral3', 131072, 34, **yarn, **common(262144, 4096, 14336, 32, 8, rope=1000000.0, head=128))
    yield dense('devstral-small-2-24b', 'mistral3', 131072, 40, mix='Q8_0', **yarn, **common(393216, 5120, 32768, 32, 8, rope=100000000.0, head=128))
    yield nemotron_h('nemotron-3-nano-30b-a3b', 'nemotron_h_moe', 131072, 'MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME', 1856, 3712,
                     kv=2, ff=1856, attention__head_count=32, expert_shared_feed_forward_length=3712, expert_shared_count=1,
                     expert_weights_norm=True, expert_weights_scale=2.5, attention__layer_norm_epsilon=1e-5, **moe(128, 6, 1856),
                     **ssm(4, 4096, 128, 64, 8), context_length=1048576, embedding_length=2688, attention__key_length=128,
                     attention__value_length=128, attention__layer_norm_rms_epsilon=1e-5, rope__freq_base=10000.0)
    yield nemotron_h('nemotron-3-super-120b-a12b', 'nemotron_h_moe', 131072, ('MEMEMEM*E' * 10)[:88], 2688, 5376, latent=1024, kv=2, ff=2688,
                     attention__head_count=32, expert_shared_feed_forward_length=5376, expert_shared_count=1, moe_latent_size=1024,
                     expert_weights_norm=True, expert_weights_scale=5.0, attention__layer_norm_epsilon=1e-5, **moe(512, 22, 2688),
                     **ssm(4, 8192, 128, 128, 8), context_length=262144, embedding_length=4096, attention__key_length=128,
                     attention__value_length=128, attention__layer_norm_rms_epsilon=1e-5, rope__freq_base=10000.0)
    yield nemotron_h('nemotron-h-47b', 'nemotron_h', 131072, 'M-M-M-M-M-M-M-M-M*-M-M-M-M-M-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-M-M---MM---M-M*-M-M-M-M-M-',
                     kv=8, ff=30720, attention__head_count=64, attention__layer_norm_epsilon=1e-5, **ssm(4, 16384, 256, 256, 8), context_length=8192,
                     embedding_length=8192, attention__key_length=128, attention__value_length=128, attention__layer_norm_rms_epsilon=1e-5,
                     rope__freq_base=10000.0)
    yield post_norm('olmo-2-7b', 'olmo2', 100352, 32, 'all', **common(4096, 4096, 11008, 32, 32, rope=500000.0))
    yield post_norm('olmo-3-7b', 'olmo2', 100278, 32, 'all', attention__sliding_window=4096, **common(65536, 4096, 11008, 32, 32, rope=500000.0))
    yield post_norm('olmo-3-32b', 'olmo2', 100278, 64, 'all', attention__sliding_window=4096, **common(65536, 5120, 27648, 40, 8, rope=500000.0))
    yield dense('qwen2.5-0.5b', 'qwen2', 151936, 24, 'qkv', tied=True, mix='Q8_0', **common(32768, 896, 4864, 14, 2, rope=1000000.0))
    yield dense('qwen2.5-7b', 'qwen2', 152064, 28, 'qkv', **common(32768, 3584, 18944, 28, 4, rope=1000000.0))
    yield dense('qwen2.5-72b', 'qwen2', 152064, 80, 'qkv', **common(32768, 8192, 29568, 64, 8, rope=1000000.0))
    q35 = dict(rope__dimension_count=64, rope__dimension_sections=[11, 11, 10, 0], full_attention_interval=4)
    yield qwen35('qwen3.5-27b', 248320, 64, **q35, **ssm(4, 6144, 128, 48, 16), **common(262144, 5120, 17408, 24, 4, rope=10000000.0, head=256))
    yield qwen35('qwen3.5-9b', 248320, 33, nextn=1, scale=False, nextn_predict_layers=1, mix='Q8_0', **q35, **ssm(4, 4096, 128, 32, 16),
                 **common(262144, 4096, 12288, 16, 4, rope=10000000.0, head=256))
    yield seed('seed-oss-36b', 155136, 64, **common(524288, 5120, 27648, 80, 8, rope=10000000.0, head=128))
    # other members of the families that the captured headers already hold
    yield dense('qwen3-8b', 'qwen3', 151936, 36, qk_norm='head', **common(40960, 4096, 12288, 32, 8, rope=1000000.0, head=128))
    yield dense('qwen3-32b', 'qwen3', 151936, 64, qk_norm='head', mix='Q8_0', **common(40960, 5120, 25600, 64, 8, rope=1000000.0, head=128))
    yield sparse('qwen3-235b-a22b', 'qwen3moe', 151936, 94, 1536, qk_norm='head', **moe(128, 8, 1536), **common(40960, 4096, 12288, 64, 4, rope=1000000.0, head=128))
    yield dense('llama-3.3-70b', 'llama', 128256, 80, freqs=64, **common(131072, 8192, 28672, 64, 8, rope=500000.0, head=128))
    yield sparse('mixtral-8x7b', 'llama', 32000, 32, 14336, expert_count=8, expert_used_count=2, **common(32768, 4096, 14336, 32, 8, rope=1000000.0, head=128))
    yield gemma('gemma-2-27b', 'gemma2', 256000, 46, qk_norm=None, attention__sliding_window=4096, attn_logit_softcapping=50.0,
                final_logit_softcapping=30.0, **common(8192, 4608, 36864, 32, 16, head=128))
    yield gemma('gemma-3-1b', 'gemma3', 262144, 26, attention__sliding_window=512, **common(32768, 1152, 6912, 4, 1, rope=1000000.0, head=256))
    yield gemma('gemma-3-27b', 'gemma3', 262144, 62, attention__sliding_window=1024, **common(131072, 5376, 21504, 32, 16, rope=1000000.0, head=128))
    yield cohere2('command-a-111b', 256000, 64, logit_scale=0.25, attention__sliding_window=4096, **common(262144, 12288, 36864, 96, 8, 'ln', 50000.0, 128))
    yield post_norm('exaone-4-1.2b', 'exaone4', 102400, 30, 'head', tied=True, mix='Q8_0', **common(65536, 2048, 4096, 32, 8, rope=1000000.0, head=64))
    kimi = dict(attention__kv_lora_rank=512, attention__q_lora_rank=1536, attention__key_length=576, attention__value_length=512,
                attention__key_length_mla=192, attention__value_length_mla=128, rope__dimension_count=64, expert_shared_count=1,
                expert_weights_norm=True, expert_gating_func=2)
    yield deepseek('kimi-k2', 'deepseek2', 163840, 61, 2048, 1, mix='Q2_K', leading_dense_block_count=1, expert_weights_scale=2.827, **kimi,
                   **moe(384, 8, 2048), **common(131072, 7168, 18432, 64, 1))
    glm47 = dict(kimi, attention__q_lora_rank=768, attention__key_length_mla=256, attention__value_length_mla=256)
    yield deepseek('glm-4.7-flash', 'deepseek2', 154880, 47, 1536, 1, leading_dense_block_count=1, expert_weights_scale=1.8, **glm47,
                   **moe(64, 4, 1536), **common(202752, 2048, 10240, 20, 1, rope=1000000.0))
    yield sparse('glm-4.6', 'glm4moe', 151552, 93, 1536, 1536, True, 'qkv', 'head', 3, post='post_attention_norm', nextn=1, nextn_predict_layers=1,
                 mix='Q2_K', leading_dense_block_count=3, expert_shared_count=1, expert_gating_func=2, expert_weights_scale=2.5, expert_weights_norm=True,
                 rope__dimension_count=64, **moe(160, 8, 1536), **common(202752, 5120, 12288, 96, 8, rope=1000000.0, head=128))
    yield sparse('gpt-oss-120b', 'gpt-oss', 201088, 36, 2880, bias='qkvo', expert_bias=True, post='post_attention_norm', sinks=True, mix='MXFP4',
                 attention__sliding_window=128, **moe(128, 4, 2880), **common(131072, 2880, 2880, 64, 8, rope=150000.0, head=64))
    yield maverick('llama-4-maverick', 202048, 48, interleave_moe_layer_step=2, expert_shared_feed_forward_length=8192, **moe(128, 1, 8192),
                   **common(1048576, 5120, 16384, 40, 8, rope=500000.0, head=128))
    yield phi3('phi-3.5-mini', 32064, 32, 96, attention__sliding_window=262144, rope__scaling__original_context_length=4096, rope__dimension_count=96,
               **common(131072, 3072, 8192, 32, 32, head=96))
    yield bert('bge-large-en-v1.5', 30522, 24, 2, 512, pooling_type=1, attention__causal=False, tokenizer__ggml__token_type_count=2, **common(512, 1024, 4096, 16, 16, 'ln'))
    yield bert('all-minilm-l6-v2', 30522, 6, 2, 512, mix='Q8_0', pooling_type=1, attention__causal=False, tokenizer__ggml__token_type_count=2, **common(512, 384, 1536, 12, 12, 'ln'))
    yield lfm2('lfm2-2.6b', 'lfm2', 65536, 30, 99, shortconv__l_cache=3, **common(128000, 2048, 10752, 32, at(30, (2, 5, 9, 12, 15, 18, 21, 24, 27), 8), rope=1000000.0, head=64))
    yield falcon_h1('falcon-h1-34b', 261120, 72, **ssm(4, 4096, 256, 32, 2), **common(262144, 5120, 21504, 20, 4, rope=100000000000.0, head=128))


# ---- known families in other forms: what the files of a family may have and the captured ones have not ----
KIMI_LINEAR = dict(attention__kv_lora_rank=512, attention__key_length=576, attention__value_length=512, attention__key_length_mla=192,
                   attention__value_length_mla=128, rope__dimension_count=64, ssm__conv_kernel=4, kda__head_dim=128,
                   leading_dense_block_count=1, expert_shared_count=1, expert_weights_scale=2.446, expert_gating_func=2,
                   **moe(256, 8, 1024), **common(1048576, 2304, 9216, 32, at(27, (3, 7, 11, 15, 19, 23, 26), 1)))


def per_layer(m, il, width):
    b = f'blk.{il}.'
    m.add(b + 'inp_gate', m.n_embd, width)
    m.add(b + 'proj', width, m.n_embd)
    m.add(b + 'post_norm', m.n_embd)


def per_layer_table(m, width):
    m.add('per_layer_token_embd', width * m.n_layers, m.n_vocab)
    m.add('per_layer_model_proj', m.n_embd, width * m.n_layers)
    m.add('per_layer_proj_norm', width)


def gemma4(name, n, every, kv, kv_full, own=0, width=0, fused=False, **keys):
    """Heads of 256 in sliding layers, of 512 in each `every`th; `width`: experts beside the dense part, and values that are keys."""
    slides = [(il + 1) % every != 0 for il in range(n)]
    keys.update(attention__head_count_kv=[kv if s else kv_full for s in slides], attention__sliding_window_pattern=slides,
                attention__key_length=512, attention__value_length=512, attention__key_length_swa=256, attention__value_length_swa=256,
                rope__dimension_count=512, rope__dimension_count_swa=256, final_logit_softcapping=30.0, embedding_length_per_layer_input=own)
    m = Model(name, 'gemma4', 262144, n, 'Q4_K_M', True, **keys)
    m.ends()
    m.add('rope_freqs', 256)
    if own:
        per_layer_table(m, own)
    for il in range(n):
        b, hk, ff = f'blk.{il}.', 256 if slides[il] else 512, m.k('feed_forward_length')
        m.attention(il, qk_norm='head', head=hk, after=('post_attention_norm',))
        split = [b + f'attn_{c}.weight' for c in ('qkv' if fused else 'v' if width and not slides[il] else '')]
        m.tensors = [t for t in m.tensors if t[0] not in split]
        if fused:
            m.add(b + 'attn_qkv', m.n_embd, hk * (m.heads(il) + 2 * m.heads(il, True)))
        m.add(b + 'layer_output_scale', 1)
        m.ffn(il, ff[il] if isinstance(ff, list) else ff, after=('post_ffw_norm',))
        if width:
            experts = m.k('expert_count')
            m.add(b + 'ffn_gate_inp', m.n_embd, experts)
            m.add(b + 'ffn_gate_inp', m.n_embd, suffix='.scale')
            for norm in ('pre_ffw_norm_2', 'post_ffw_norm_1', 'post_ffw_norm_2'):
                m.add(b + norm, m.n_embd)
            m.add(b + 'ffn_gate_up_exps', m.n_embd, 2 * width, experts)
            m.add(b + 'ffn_down_exps', width, m.n_embd, experts)
            m.add(b + 'ffn_down_exps', experts, suffix='.scale')
        if own:
            per_layer(m, il, own)
    return m


def gemma3n(name, n, ff, fused=False):
    slides = [(il + 1) % 5 != 0 for il in range(n)]
    m = Model(name, 'gemma3n', 262144, n, 'Q4_K_M', True, attention__sliding_window=512, attention__sliding_window_pattern=slides,
              attention__shared_kv_layers=n - 20, embedding_length_per_layer_input=256, altup__active_idx=0, altup__num_inputs=4,
              **common(32768, 2048, ff, 8, 2, rope=1000000.0, head=256))
    m.ends()
    m.add('altup_proj', m.n_embd, m.n_embd, 3)
    m.add('altup_unembd_proj', m.n_embd, m.n_embd, 3)
    per_layer_table(m, 256)
    for il in range(n):
        b = f'blk.{il}.'
        m.attention(il, qk_norm='head', after=('post_attention_norm',))
        if fused:
            m.tensors = [t for t in m.tensors if t[0] not in [b + f'attn_{c}.weight' for c in 'qkv']]
            m.add(b + 'attn_qkv', m.n_embd, 256 * (8 + 2 + 2))
        m.ffn(il, after=('post_ffw_norm',))
        per_layer(m, il, 256)
        for t, *ne in (('correct_coef', 4, 4), ('correct_scale', 2048), ('predict_coef', 4, 16), ('router', 2048, 4), ('router_norm', 2048)):
            m.add(b + 'altup_' + t, *ne)
        for t, *ne in (('l', 2048, 64), ('r', 64, 2048), ('post_norm', 2048)):
            m.add(b + 'laurel_' + t, *ne)
    return m


def qwen3next_early(name, vocab, n, width, shared, **keys):
    """As it was first converted: all inputs of a net in one matrix."""
    m = Model(name, 'qwen3next', vocab, n, **keys)
    m.ends()
    key, value = m.k('ssm.state_size') * m.k('ssm.group_count'), m.k('ssm.inner_size')
    for il in range(n):
        b = f'blk.{il}.'
        if (il + 1) % 4 == 0:
            m.attention(il, qk_norm='head', q_width=2, names=('attn_norm', 'post_attention_norm'))
        else:
            m.add(b + 'attn_norm', m.n_embd)
            m.add(b + 'post_attention_norm', m.n_embd)
            m.add(b + 'ssm_in', m.n_embd, 2 * key + 2 * value)
            m.add(b + 'ssm_conv1d', m.k('ssm.conv_kernel'), 2 * key + value)
            m.bias(b + 'ssm_dt', m.k('ssm.time_step_rank'))
            m.add(b + 'ssm_a', m.k('ssm.time_step_rank'), suffix='')
            m.add(b + 'ssm_ba', m.n_embd, 2 * m.k('ssm.time_step_rank'))
            m.add(b + 'ssm_norm', m.k('ssm.state_size'))
            m.add(b + 'ssm_out', value, m.n_embd)
        m.experts(il, width, shared, norm=None)
        m.add(b + 'ffn_gate_inp_shexp', m.n_embd)
    return m


def qwen35moe(name, vocab, n, width, shared, nextn=0, **keys):
    m = Model(name, 'qwen35moe', vocab, n, **keys)
    m.ends()
    for il in range(n):
        if il >= n - nextn or (il + 1) % 4 == 0:
            m.attention(il, qk_norm='head', q_width=2, names=('attn_norm', 'post_attention_norm'))
        else:
            m.delta_net(il, False)
        m.experts(il, width, shared, norm=None)
        m.add(f'blk.{il}.ffn_gate_inp_shexp', m.n_embd)
        if il >= n - nextn:
            m.nextn(il)
    return m


def reranker(name, vocab, n, positions, **keys):
    m = bert(name, vocab, n, 1, positions, **keys)
    for t, width in (('cls', m.n_embd), ('cls.output', 1)):
        m.add(t, m.n_embd, width)
        m.bias(t, width)
    return m


def forms():
    yield gemma4('gemma-4-e4b', 42, 6, 2, 2, own=256, attention__sliding_window=512, attention__shared_kv_layers=18,
                 **common(131072, 2560, 10240, 8, 2, rope=1000000.0))
    yield gemma4('gemma-4-e2b', 35, 5, 1, 1, own=256, attention__sliding_window=512, attention__shared_kv_layers=20,
                 **common(131072, 1536, [6144] * 15 + [12288] * 20, 8, 1, rope=1000000.0))
    yield gemma4('gemma-4-26b-a4b', 30, 6, 8, 2, width=704, attention__sliding_window=1024, attention__shared_kv_layers=0,
                 **moe(128, 8, 704), **common(262144, 2816, 2112, 16, 2, rope=1000000.0))
    yield gemma4('gemma-4-31b-fused', 60, 6, 16, 4, fused=True, attention__sliding_window=1024, attention__shared_kv_layers=0,
                 **common(262144, 5376, 21504, 32, 4, rope=1000000.0))
    yield gemma3n('gemma-3n-e2b', 30, 8192)
    yield gemma3n('gemma-3n-e4b-fused', 35, 16384, True)
    yield gemma('embeddinggemma-plain', 'gemma-embedding', 262144, 24, mix='Q8_0', attention__sliding_window=512, pooling_type=1,
                **common(2048, 768, 1152, 3, 1, rope=1000000.0, head=256))
    yield reranker('bge-reranker-large', 250002, 24, 512, pooling_type=4, attention__causal=False, tokenizer__ggml__token_type_count=1,
                   **common(512, 1024, 4096, 16, 16, 'ln'))
    yield kimi_linear('kimi-linear-fused', 163840, 27, 1024, True, **KIMI_LINEAR)
    q35 = dict(rope__dimension_count=64, full_attention_interval=4)
    yield qwen3next_early('qwen3-next-early', 151936, 48, 512, 512, **q35, **ssm(4, 4096, 128, 32, 16),
                          expert_shared_feed_forward_length=512, **moe(512, 10, 512), **common(262144, 2048, 5120, 16, 2, rope=10000000.0, head=256))
    yield qwen35moe('qwen3.5-122b-a10b', 248320, 49, 1024, 1024, nextn=1, nextn_predict_layers=1, rope__dimension_sections=[11, 11, 10, 0],
                    expert_shared_feed_forward_length=1024, **q35, **ssm(4, 8192, 128, 64, 16), **moe(256, 8, 1024),
                    **common(262144, 3072, 1024, 32, 2, rope=10000000.0, head=256))


# ---- architectures that berth has no rules for, to hold the bound to ----
def plain(name, arch, vocab, n, fused=False, bias=True, gate=False, norm_bias=True, parallel=False, tied=False, **keys):
    """Layer norms with biases, a fused or split projection, a feed-forward part with or without a gate."""
    m = Model(name, arch, vocab, n, tied=tied, **keys)
    m.ends(norm_bias=norm_bias)
    e, hk = m.n_embd, m.n_embd // m.heads(0)
    nk, w = hk * m.heads(0, True), m.k('feed_forward_length')
    for il in range(n):
        b = f'blk.{il}.'
        parts = [('attn_norm', (e,), norm_bias), ('attn_output', (e, e), bias), ('ffn_down', (w, e), bias), ('ffn_up', (e, w), bias)]
        parts += [('attn_qkv', (e, e + 2 * nk), bias)] if fused else [(f'attn_{c}', (e, x), bias) for c, x in (('q', e), ('k', nk), ('v', nk))]
        parts += [] if parallel else [('ffn_norm', (e,), norm_bias)]
        parts += [('ffn_gate', (e, w), False)] if gate else []
        for part, ne, with_bias in parts:
            m.add(b + part, *ne)
            if with_bias:
                m.bias(b + part, ne[-1])
    return m


def stablelm(name, vocab, n, **keys):
    m = plain(name, 'stablelm', vocab, n, bias=False, gate=True, parallel=True, **keys)
    for il in range(n):
        for c, kv in (('q', False), ('k', True)):
            m.add(f'blk.{il}.attn_{c}_norm', m.n_embd // m.heads(il), m.heads(il, kv))
    return m


def dbrx(name, vocab, n, width, **keys):
    m = Model(name, 'dbrx', vocab, n, **keys)
    m.ends()
    e, nk = m.n_embd, m.n_embd // m.heads(0) * m.heads(0, True)
    for il in range(n):
        b = f'blk.{il}.'
        for part, ne in (('attn_norm', (e,)), ('attn_qkv', (e, e + 2 * nk)), ('attn_output', (e, e)), ('attn_output_norm', (e,))):
            m.add(b + part, *ne)
        m.experts(il, width, norm=None)
    return m


def minimax_01(name, vocab, n, width, every, **keys):
    m = Model(name, 'minimax-01', vocab, n, full_attention_interval=every, **keys)
    m.ends()
    for il in range(n):
        b, wide = f'blk.{il}.', m.k('attention.key_length') * m.heads(il)
        if (il + 1) % every == 0:
            m.attention(il)
        else:
            for part, ne in (('attn_norm', (m.n_embd,)), ('attn_norm_2', (wide,)), ('attn_qkv', (m.n_embd, 3 * wide)), ('attn_gate', (m.n_embd, wide)),
                             ('attn_output', (wide, m.n_embd))):
                m.add(b + part, *ne)
        m.experts(il, width)
    return m


def rwkv6(name, vocab, n, **keys):
    m = Model(name, 'rwkv6', vocab, n, **keys)
    e, mix, decay, w = m.n_embd, m.k('time_mix_extra_dim'), m.k('time_decay_extra_dim'), m.k('feed_forward_length')
    m.ends(norm_bias=True)
    m.add('token_embd_norm', e)
    m.bias('token_embd_norm', e)
    for il in range(n):
        b = f'blk.{il}.'
        for part in ('attn_norm', 'attn_norm_2', 'time_mix_ln'):
            m.add(b + part, e)
            m.bias(b + part, e)
        for part, ne in (('w1', (e, 5 * mix)), ('w2', (mix, e, 5)), ('lerp_x', (e, 1, 1)), ('lerp_fused', (e, 1, 1, 5)), ('first', (64, e // 64)),
                         ('decay', (e,)), ('decay_w1', (e, decay)), ('decay_w2', (decay, e)), ('key', (e, e)), ('value', (e, e)),
                         ('receptance', (e, e)), ('gate', (e, e)), ('output', (e, e))):
            m.add(b + 'time_mix_' + part, *ne)
        for part, ne in (('lerp_k', (e, 1, 1)), ('lerp_r', (e, 1, 1)), ('key', (e, w)), ('value', (w, e)), ('receptance', (e, e))):
            m.add(b + 'channel_mix_' + part, *ne)
    return m


def strangers():
    yield plain('starcoder2-7b', 'starcoder2', 49152, 32, tied=True, **common(16384, 4608, 18432, 36, 4, 'ln'))
    yield stablelm('stablelm-2-12b', 100352, 40, use_parallel_residual=True, rope__dimension_count=40, **common(4096, 5120, 13824, 32, 8, 'ln'))
    yield dense('granite-3.3-8b', 'granite', 49159, 40, tied=True, logit_scale=16.0, residual_scale=0.22, embedding_scale=12.0,
                attention__scale=0.0078125, rope__dimension_count=128, **common(131072, 4096, 12800, 32, 8))
    yield dbrx('dbrx-132b', 100352, 40, 10752, attention__clamp_kqv=8.0, expert_count=16, expert_used_count=4,
               **common(32768, 6144, 10752, 48, 8, 'ln'))
    yield plain('gpt-neox-20b', 'gptneox', 50432, 44, fused=True, use_parallel_residual=True, rope__dimension_count=24,
                **common(2048, 6144, 24576, 64, 64, 'ln'))
    yield plain('mpt-7b', 'mpt', 50432, 32, fused=True, bias=False, norm_bias=False, tied=True, attention__max_alibi_bias=8.0,
                **common(2048, 4096, 16384, 32, 32, 'ln'))
    yield sparse('smallthinker-21b', 'smallthinker', 151936, 52, 768, attention__sliding_window=4096, expert_gating_func=2, rope__dimension_count=128,
                 **moe(64, 6, 768), **common(32768, 2560, 768, 28, 4, head=128))
    yield minimax_01('minimax-text-16l', 200064, 16, 9216, 8, residual_scale=3.5, rope__dimension_count=64, **moe(32, 2, 9216),
                     **common(1048576, 6144, 9216, 64, 8, head=128))
    yield rwkv6('rwkv6-3b', 65536, 32, context_length=1048576, embedding_length=2560, feed_forward_length=8960, attention__head_count=0,
                attention__layer_norm_epsilon=1e-5, wkv__head_size=64, time_mix_extra_dim=32, time_decay_extra_dim=64, rescale_every_n_layers=6)


def main(argv):
    if len(argv) < 2:
        sys.exit('usage: mkheader.py DIR [NAME...]   (NAME "strangers": those without rules; "forms": others of known families)')
    os.makedirs(argv[1], exist_ok=True)
    sets = {'strangers': strangers, 'forms': forms}
    whole = ''.join(argv[2:]) in sets
    for m in sets[argv[2]]() if whole else models():
        if len(argv) == 2 or whole or m.name in argv[2:]:
            m.write(os.path.join(argv[1], m.name + '.gguf'))


main(sys.argv)
