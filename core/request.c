/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/request.h"

void request_sampling_defaults(struct request_sampling *s)
{
	*s = (struct request_sampling) {
		.temperature = 0.8f,
		.top_k = 40,
		.top_p = 0.95f,
		.min_p = 0.05f,
		.typical_p = 1,
		.repeat_penalty = 1,
		.repeat_last_n = 64,
	};
}

struct request *request_new(enum request_kind kind)
{
	struct request *r = calloc(1, sizeof(*r));
	pthread_condattr_t attr;

	if (!r)
		return NULL;
	r->kind = kind;
	request_sampling_defaults(&r->sampling);
	atomic_init(&r->refs, 1);
	atomic_init(&r->cancelled, false);
	pthread_mutex_init(&r->lock, NULL);
	pthread_mutex_init(&r->wake_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &attr);
	pthread_condattr_destroy(&attr);
	r->last = &r->first;
	return r;
}

struct request *request_ref(struct request *r)
{
	atomic_fetch_add(&r->refs, 1);
	return r;
}

static void free_all(struct request *r)
{
	request_pieces_free(r->first);
	for (size_t i = 0; i < r->n_messages; i++) {
		free(r->messages[i].role);
		free(r->messages[i].content);
	}
	for (size_t i = 0; i < r->n_stop; i++)
		free(r->stop[i]);
	free(r->messages);
	free(r->text);
	free(r->suffix);
	free(r->tokens);
	free(r->grammar);
	free(r->bias);
	free(r->embedding);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->wake_lock);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void request_unref(struct request *r)
{
	if (r && atomic_fetch_sub(&r->refs, 1) == 1)
		free_all(r);
}

void request_tokens_free(struct request_token *tokens, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		free(tokens[i].top);
	free(tokens);
}

void request_pieces_free(struct request_piece *pieces)
{
	while (pieces) {
		struct request_piece *next = pieces->next;

		request_tokens_free(pieces->tokens, pieces->n_tokens);
		free(pieces->text);
		free(pieces);
		pieces = next;
	}
}

static enum request_end take_locked(struct request *r, struct request_piece **pieces)
{
	*pieces = r->first;
	r->first = NULL;
	r->last = &r->first;
	return r->end;
}

enum request_end request_take(struct request *r, struct request_piece **pieces)
{
	enum request_end end;

	pthread_mutex_lock(&r->lock);
	end = take_locked(r, pieces);
	pthread_mutex_unlock(&r->lock);
	return end;
}

enum request_end request_wait(struct request *r, int timeout_ms, struct request_piece **pieces)
{
	enum request_end end;
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (timeout_ms % 1000) * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&r->lock);
	while (!r->first && !r->end && rc == 0)
		rc = timeout_ms < 0 ? pthread_cond_wait(&r->changed, &r->lock)
				    : pthread_cond_timedwait(&r->changed, &r->lock, &until);
	end = take_locked(r, pieces);
	pthread_mutex_unlock(&r->lock);
	return end;
}

void request_cancel(struct request *r)
{
	atomic_store(&r->cancelled, true);
}

void request_detach(struct request *r)
{
	pthread_mutex_lock(&r->wake_lock);
	r->wake = NULL;
	pthread_mutex_unlock(&r->wake_lock);
}

static void wake(struct request *r)
{
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_lock(&r->wake_lock);
	if (r->wake)
		r->wake(r->wake_arg);
	pthread_mutex_unlock(&r->wake_lock);
}

int request_add(struct request *r, const char *text, size_t n_text, struct request_token *tokens,
		uint32_t n_tokens)
{
	struct request_piece *p = calloc(1, sizeof(*p));
	char *copy = malloc(n_text + 1);

	if (!p || !copy) {
		free(p);
		free(copy);
		return -ENOMEM;
	}
	if (n_text)
		memcpy(copy, text, n_text);
	copy[n_text] = 0;
	*p = (struct request_piece) {
		.text = copy, .n_text = n_text, .tokens = tokens, .n_tokens = n_tokens
	};
	pthread_mutex_lock(&r->lock);
	*r->last = p;
	r->last = &p->next;
	pthread_mutex_unlock(&r->lock);
	wake(r);
	return 0;
}

void request_finish(struct request *r, enum request_end end)
{
	pthread_mutex_lock(&r->lock);
	r->end = end;
	pthread_mutex_unlock(&r->lock);
	wake(r);
}

void request_fail(struct request *r, enum request_error error, const char *fmt, ...)
{
	va_list ap;

	r->error = error;
	va_start(ap, fmt);
	vsnprintf(r->sentence, sizeof(r->sentence), fmt, ap);
	va_end(ap);
	request_finish(r, REQUEST_FAILED);
}

const char *request_end_name(enum request_end e)
{
	static const char *const names[] = {
		[REQUEST_RUNNING] = "running", [REQUEST_DONE] = "end",
		[REQUEST_STOP] = "stop",       [REQUEST_LENGTH] = "length",
		[REQUEST_CONTEXT] = "context", [REQUEST_CANCELLED] = "cancelled",
		[REQUEST_FAILED] = "failed",
	};

	return names[e];
}
