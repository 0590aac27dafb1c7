/* SPDX-License-Identifier: MIT */
#include "tests/engine/rig.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/harness.h"

struct rig t;

enum failure load(void *arg, struct err *e)
{
	struct engine_load how = { .plan = &t.plan, .threads = 1 };
	bool stopped;
	enum failure f = engine_load(t.engine, &how, &stopped, e);

	(void)arg;
	if (f == FAILURE_NONE && t.draft) {
		struct plan draft;
		struct engine_load whole = { .plan = &draft, .threads = 1 };

		plan_of_draft(&draft, &t.plan);
		f = engine_load(t.draft, &whole, &stopped, e);
		if (f == FAILURE_NONE && engine_same_tokens(t.engine, t.draft, e))
			f = FAILURE_PLAN;
	}
	if (f == FAILURE_NONE)
		account_make(&t.account, engine_log(t.engine), NULL, NULL, 0);
	return f;
}

static void *run(void *arg)
{
	(void)arg;
	t.failure = batch_run(t.batch, false, &t.e);
	return NULL;
}

int start(const char *template, uint32_t queue, uint32_t sleep_s)
{
	struct batch_options o = { .engine = t.engine,
				   .draft = t.alone ? NULL : t.draft,
				   .draft_max = t.plan.draft.n_max,
				   .draft_min = t.plan.draft.n_max,
				   .plan = &t.plan,
				   .account = &t.account,
				   .control = &t.control,
				   .page = &t.page,
				   .queue_max = queue,
				   .sleep_s = sleep_s,
				   .chat_template = template,
				   .load = load };
	struct err e = { 0 };
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return -1;
	t.line = fds[1];
	if (control_init(&t.control, fds[0], &e) || batch_open(&t.batch, &o, &e))
		return fprintf(stderr, "%s\n", e.text);
	return pthread_create(&t.thread, NULL, run, NULL);
}

void stop(void)
{
	assert_int_equal(write(t.line, "stop\n", 5), 5);
	pthread_join(t.thread, NULL);
	assert_int_equal(t.failure, FAILURE_NONE);
	close(t.line);
	control_fini(&t.control);
	batch_close(t.batch);
}

struct request *ask(const char *text, uint32_t tokens)
{
	struct request *r = request_new(REQUEST_GENERATE);

	r->text = strdup(text);
	r->max_tokens = tokens;
	r->sampling.temperature = 0;
	r->ignore_end = true;
	return r;
}

void submit(struct request *r)
{
	assert_int_equal(batch_submit(t.batch, r), 0);
}

char *text_of(struct request *r, enum request_end *end)
{
	char *text = calloc(1, 1);
	size_t n = 0;

	*end = REQUEST_RUNNING;
	while (!*end) {
		struct request_piece *pieces;

		*end = request_wait(r, 60000, &pieces);
		for (struct request_piece *p = pieces; p; p = p->next) {
			text = realloc(text, n + p->n_text + 1);
			memcpy(text + n, p->text, p->n_text + 1);
			n += p->n_text;
		}
		request_pieces_free(pieces);
	}
	return text;
}

char *answer(struct request *r, enum request_end want)
{
	enum request_end end;
	char *text;

	submit(r);
	text = text_of(r, &end);
	if (end != want)
		fprintf(stderr, "ended as %s: %s\n", request_end_name(end), r->sentence);
	assert_int_equal(end, want);
	return text;
}

void fails(struct request *r, enum request_error error)
{
	free(answer(r, REQUEST_FAILED));
	assert_int_equal(r->error, error);
	assert_true(r->sentence[0]);
	request_unref(r);
}
