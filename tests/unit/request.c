/* SPDX-License-Identifier: MIT */
/* A request between its two threads: pieces in order, an end after them, nobody called too late. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/request.h"
#include "tests/unit/harness.h"

#define PIECES 2000

static void *produce(void *arg)
{
	struct request *r = arg;
	char text[16];

	for (int i = 0; i < PIECES && !atomic_load(&r->cancelled); i++) {
		int n = snprintf(text, sizeof(text), "%d ", i);

		assert_int_equal(request_add(r, text, (size_t)n, NULL, 0), 0);
	}
	request_finish(r, atomic_load(&r->cancelled) ? REQUEST_CANCELLED : REQUEST_DONE);
	request_unref(r);
	return NULL;
}

static void in_order(void **state)
{
	struct request *r = request_new(REQUEST_GENERATE);
	enum request_end end = REQUEST_RUNNING;
	struct request_piece *pieces;
	pthread_t thread;
	int next = 0;

	(void)state;
	pthread_create(&thread, NULL, produce, request_ref(r));
	while (!end) {
		end = request_wait(r, -1, &pieces);
		for (struct request_piece *p = pieces; p; p = p->next) {
			assert_int_equal(atoi(p->text), next++);
			assert_int_equal(strlen(p->text), p->n_text);
		}
		request_pieces_free(pieces);
	}
	assert_int_equal(end, REQUEST_DONE);
	assert_int_equal(next, PIECES);
	/* the end stays, and nothing comes twice */
	assert_int_equal(request_take(r, &pieces), REQUEST_DONE);
	assert_null(pieces);
	pthread_join(thread, NULL);
	request_unref(r);
}

static void waits(void **state)
{
	struct request *r = request_new(REQUEST_EMBED);
	struct request_piece *pieces;

	(void)state;
	assert_int_equal(request_wait(r, 20, &pieces), REQUEST_RUNNING);
	assert_null(pieces);
	request_fail(r, REQUEST_TOO_LONG, "%d tokens", 7);
	assert_int_equal(request_wait(r, -1, &pieces), REQUEST_FAILED);
	assert_int_equal(r->error, REQUEST_TOO_LONG);
	assert_string_equal(r->sentence, "7 tokens");
	request_unref(r);
	request_unref(NULL);
}

struct woken {
	struct request *r;
	int calls, bytes;
};

static void on_wake(void *arg)
{
	struct woken *w = arg;
	struct request_piece *pieces;

	w->calls++;
	request_take(w->r, &pieces);
	for (struct request_piece *p = pieces; p; p = p->next)
		w->bytes += (int)p->n_text;
	request_pieces_free(pieces);
}

/* wake may take; after request_detach it is silent; what nobody took is freed with the request. */
static void wakes(void **state)
{
	struct woken w = { .r = request_new(REQUEST_GENERATE) };
	struct request_token *t = calloc(1, sizeof(*t));

	(void)state;
	w.r->wake = on_wake;
	w.r->wake_arg = &w;
	request_add(w.r, "abc", 3, NULL, 0);
	assert_int_equal(w.calls, 1);
	assert_int_equal(w.bytes, 3);
	request_detach(w.r);
	t->top = calloc(2, sizeof(*t->top));
	request_add(w.r, "", 0, t, 1);
	request_finish(w.r, REQUEST_LENGTH);
	assert_int_equal(w.calls, 1);
	request_unref(w.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order),
		cmocka_unit_test(waits),
		cmocka_unit_test(wakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
