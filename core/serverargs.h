/* SPDX-License-Identifier: MIT */
/* A plan as the options of an installed llama-server. Pure. */
#ifndef BERTH_CORE_SERVERARGS_H
#define BERTH_CORE_SERVERARGS_H

#include <stdint.h>

#include "base/err.h"
#include "base/planfile.h"

#define SERVERARGS_MAX 96

struct server_wish {
	const char *program, *socket; /* absolute paths; the socket's ends in ".sock" */
	const char *name;             /* what clients call the model; NULL: nothing */
	const char *key_file;         /* NULL: no key */
	uint32_t threads;
};

struct server_args {
	uint32_t n;
	const char *argv[SERVERARGS_MAX + 1]; /* ends with NULL */
	/* storage of argv */
	char numbers[8][16];
	char devices[PLAN_DEVICES_MAX * 34], split[PLAN_DEVICES_MAX * 12];
	char tensors[PLAN_TENSORS_MAX][160];
};

/* 0, or -EBADMSG with *e: the plan says what llama-server cannot be told. */
int server_args(struct server_args *a, const struct plan *p, const struct server_wish *w,
		struct err *e);

/*
 * What the engine calls the plan's device d once the environment hides all others of its backend, where
 * launch can do that (by UUID): then its number is its place among them. "" when nobody knows.
 */
void server_device(const struct plan *p, uint32_t d, char name[32]);

#endif
