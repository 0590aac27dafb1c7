/* SPDX-License-Identifier: MIT */
/* What an architecture is to the planner: a row of families[] (families.c), read by shape.c. */
#ifndef BERTH_FAMILY_PRIV_H
#define BERTH_FAMILY_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "vram-planner/shape.h"

enum window {
	WINDOW_NONE,      /* every layer sees the whole context, whatever the header says */
	WINDOW_IF_KEY,    /* sliding when attention.sliding_window is there and not 0 */
	WINDOW_ATTENTION, /* the same, and all attention layers slide */
	WINDOW_ALWAYS,    /* sliding; `window` is the default of the size, 0: the key is needed */
	WINDOW_LISTED,    /* sliding, by the key, where an array of the header says so */
	WINDOW_ALL,       /* every layer slides, by the key */
	WINDOW_CHUNKS,    /* chunks of `window` tokens unless the key says 0 */
};

/* Which layers are which. `mixer` is that of attention layers, `state` of the others. */
enum layout {
	LAYOUT_ALIKE, /* all are `mixer` */
	LAYOUT_HEADS, /* `state` where there are no key-value heads */
	LAYOUT_HEADS_FF, /* the same, but a layer with a feed-forward part mixes nothing (nemotron_h) */
	LAYOUT_INTERVAL, /* every n-th attends (full_attention_interval), or as recurrent_layers lists */
};

enum rope {
	ROPE_ALL,
	ROPE_NONE,
	ROPE_SLIDING, /* sliding layers only, or all where none slides */
	ROPE_STEP,    /* all but every fourth */
	ROPE_KEY, /* as rope.scaling.finetuned says; all when it says nothing (granite hybrid) */
};

/* Loading of trailing prediction layers when they are asked for. */
enum nextn {
	NEXTN_LOADED,
	NEXTN_SKIPPED, /* never */
};

enum quirk {
	QUIRK_NO_FLASH = 1 << 0,         /* the engine switches flash attention off */
	QUIRK_ROLLBACK = 1 << 1,         /* states are kept for rollback when asked */
	QUIRK_NO_LOGITS = 1 << 2,        /* an encoder without a matrix of logits */
	QUIRK_OUTPUT_FIRST = 1 << 3,     /* a tied output is made before the input: both are kept */
	QUIRK_SHARED_CACHE = 1 << 4,     /* layers from n_kv_from_start on read earlier ones' caches */
	QUIRK_ROPE_WHERE_FULL = 1 << 5,  /* rope_freqs goes with full layers only */
	QUIRK_NORM_IS_OUTPUT = 1 << 6,   /* token_embd_norm is the norm of the output */
	QUIRK_SOFTCAP = 1 << 7,          /* attention logits are capped */
	QUIRK_SECTIONS = 1 << 8,         /* rope has sections: four positions a token */
	QUIRK_SECTIONS_IF_KEY = 1 << 9,  /* ... when rope.dimension_sections names two of them */
	QUIRK_ENCODER = 1 << 10,         /* not causal, whatever the key says */
	QUIRK_NEXTN_BY_TENSOR = 1 << 11, /* the key of prediction layers counts when they are there */
	QUIRK_PROBS_STAY = 1 << 12,      /* exp_probs_b of skipped prediction layers is loaded */
	QUIRK_LONG_GRAPH = 1 << 13,      /* the engine's budget of nodes grows with the batch */
	QUIRK_INNER_TWICE = 1 << 14,     /* the engine wants states twice as wide as the model */
};

struct family {
	const char *arch;
	enum memory memory;
	enum mixer mixer, state;
	enum layout layout;
	enum window window;
	uint32_t tokens;      /* of the window, see there */
	uint32_t period;      /* of the pattern: the last of each `period` layers sees everything */
	uint32_t only_layers; /* sliding only in models of exactly so many layers; 0: any */
	enum rope rope;
	enum norm norm;
	enum gating gating; /* when the header does not say */
	enum nextn nextn;
	unsigned quirks;
	const char *source; /* where the rule is from, and which measured models hold it to it */
};

const struct family *family_find(const char *arch); /* NULL: no verified rules */
const struct family *family_at(uint32_t i);         /* NULL after the last */

/* The rules for what has no row: an upper bound. */
extern const struct family family_unknown;

#endif
