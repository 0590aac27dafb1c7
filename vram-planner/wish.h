/* SPDX-License-Identifier: MIT */
/* What the user wants of a plan. Zero or empty means: not said. Plain values. */
#ifndef BERTH_WISH_H
#define BERTH_WISH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fact.h"
#include "base/planfile.h"
#include "base/text.h"

enum choice { CHOICE_FREE, CHOICE_ON, CHOICE_OFF };

enum split_mode { SPLIT_LAYER, SPLIT_NONE, SPLIT_ROW, SPLIT_TENSOR };

/* The goal of a search. Without one everything that is not said is the engine's default. */
enum want { WANT_NONE, WANT_CONTEXT, WANT_SPEED, WANT_QUALITY };

extern const char *const split_modes[];  /* in enum order; ends with NULL, like the next */
extern const char *const want_choices[]; /* from WANT_CONTEXT on */

/* What the engine offers for its cache, the default first; ends with NULL. */
extern const char *const cache_types[];

/* Tensors by name: where they should go, as the user called it. */
struct wish_tensors {
	char pattern[96];
	char where[32]; /* "CPU", "CUDA0", "0" */
};

struct wish {
	/* The configuration. */
	uint32_t n_ctx;     /* 0: the smaller of the model's own and WISH_CTX_DEFAULT */
	uint32_t n_batch;   /* 0: 2048 */
	uint32_t n_ubatch;  /* 0: 512 */
	uint32_t n_seq_max; /* 0: 1 */
	uint32_t n_outputs; /* 0: one per sequence */
	uint32_t n_draft;   /* tokens that a draft model guesses at once; 0: there is none */
	uint32_t n_cpu_moe; /* UINT32_MAX: all */
	char type_k[12], type_v[12]; /* "": f16 */
	enum choice flash_attn;      /* free: on */
	enum choice unified;         /* free: on with several sequences */
	bool cache_on_host, swa_full, mtp, embeddings;
	/* The placement. */
	enum split_mode split_mode;
	uint32_t split[PLAN_DEVICES_MAX]; /* layers per device by hand, when n_split is not 0 */
	uint32_t n_split;
	float shares[PLAN_DEVICES_MAX]; /* the same as shares */
	uint32_t n_shares;
	bool has_gpu_layers;
	uint32_t n_gpu_layers; /* UINT32_MAX: all */
	uint32_t n_tensors;
	struct wish_tensors tensors[PLAN_TENSORS_MAX];
	/* The goal. */
	enum want want;
	uint32_t min_ctx;
	double min_speed; /* tokens a second; 0: any */
	enum accept accept;
	bool accept_unverified;   /* an upper bound of an unknown architecture is judged, too */
	struct fact margin_bytes; /* per device; unknown: the default of the design */
	char devices[200]; /* the options that chose the devices, for commands that repeat them */
};

#define WISH_DRAFT_DEFAULT 8 /* tokens that a draft model guesses at once */
#define WISH_CTX_DEFAULT   8192
#define WISH_CTX_OWN       UINT32_MAX /* all that the model was trained for */

/* Read from what people type. false: it has no sense. */
bool wish_split(struct wish *w, const char *s);      /* "4,2,3" */
bool wish_shares(struct wish *w, const char *s);     /* "3,1", "0.6/0.4" */
bool wish_gpu_layers(struct wish *w, const char *s); /* "20", "all", "-1" */
bool wish_speed(struct wish *w, const char *s);      /* "12.5" */
bool wish_tensors(struct wish *w, const char *s);    /* "ffn_.*_exps=CPU,attn=CUDA1" */

/* The wish as options that mean the same, with single blanks between them. */
void wish_options(struct text *t, const struct wish *w);

/* Shares such as "3,1": fills split[PLAN_DEVICES_MAX]; how many, or 0 when it has no sense. */
uint32_t shares_parse(float *split, const char *s);

#endif
