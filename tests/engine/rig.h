/* SPDX-License-Identifier: MIT */
/* One batch over the real engine, and one request at a time given to it and waited for. */
#ifndef BERTH_TESTS_ENGINE_RIG_H
#define BERTH_TESTS_ENGINE_RIG_H

#include <pthread.h>

#include "core/account.h"
#include "core/batch.h"
#include "core/engine.h"

extern struct rig {
	struct plan plan;
	struct engine *engine, *draft; /* draft NULL: the plan has none */
	bool alone;                    /* without the draft */
	struct control control;
	struct page page;
	struct account account;
	struct batch *batch;
	pthread_t thread;
	int line; /* to the control line */
	enum failure failure;
	struct err e;
} t;

/* What the batch is given to wake up with; main calls it first. */
enum failure load(void *arg, struct err *e);

/* Start the batch on a thread; 0 when it runs. stop() waits for its end. */
int start(const char *template, uint32_t queue, uint32_t sleep_s);
void stop(void);

/* A request for so many of the likeliest tokens. The caller's, as in core/request.h. */
struct request *ask(const char *text, uint32_t tokens);
void submit(struct request *r);

/* Wait for the end; the text is the caller's. */
char *text_of(struct request *r, enum request_end *end);

/* Submit, wait, and hold that it ends so; the text is the caller's. */
char *answer(struct request *r, enum request_end want);

/* Submit, and hold that it fails so, with a sentence; the request is let go. */
void fails(struct request *r, enum request_error error);

#endif
