/* SPDX-License-Identifier: MIT */
/*
 * Many requests over the real engine on the CPU. batch ENGINE_DIR PLAN: the plan has several
 * sequences; whether it is for vectors decides which tests run. tests/cli/batch.sh makes the plans.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/engine/rig.h"
#include "tests/unit/harness.h"

#define N 6

static const char *const prompts[N] = {
	"Hello world, the ship sails into the harbour",
	"the captain was on the island and the storm was near the coast",
	"a small boat",
	"memory model layer token",
	("once upon a time there was a lighthouse on the shore of the cold sea, and the people of the "
	 "island were warm and good"),
	"Hello",
};

/* --- text --- */

/* The end of a request is told before it is counted. */
static void settled(struct batch_stats *s)
{
	batch_stats(t.batch, s);
	for (int i = 0; i < 1000 && s->busy + s->queued; i++) {
		usleep(10000);
		batch_stats(t.batch, s);
	}
}

static void together(void **state)
{
	struct request *r[N];
	char *alone[N];
	struct batch_stats before, after;

	(void)state;
	for (int i = 0; i < N; i++) {
		r[i] = ask(prompts[i], 24);
		r[i]->no_cache = true;
		alone[i] = answer(r[i], REQUEST_LENGTH);
		assert_true(strlen(alone[i]) > 10);
		assert_int_equal(r[i]->generated_tokens, 24);
		request_unref(r[i]);
	}
	batch_stats(t.batch, &before);
	for (int i = 0; i < N; i++)
		submit(r[i] = ask(prompts[i], 24));
	for (int i = 0; i < N; i++) {
		enum request_end end;
		char *text = text_of(r[i], &end);

		assert_int_equal(end, REQUEST_LENGTH);
		assert_string_equal(text, alone[i]);
		free(text);
		free(alone[i]);
		request_unref(r[i]);
	}
	batch_stats(t.batch, &after);
	assert_int_equal(after.counts.generated_tokens - before.counts.generated_tokens, N * 24);
	/* They shared batches: one by one it would be that many steps */
	assert_true(after.steps - before.steps < N * 24 / 2);
	settled(&after);
	assert_int_equal(after.busy + after.queued, 0);
}

static bool rewinds(void)
{
	struct engine_facts f;

	engine_facts(t.engine, &f);
	return f.rewinds;
}

/* A text that goes on where another ended needs only what is new of it, whatever the model keeps. */
static void goes_on(void **state)
{
	struct request *r[3];
	char *text[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		r[i] = request_new(REQUEST_GENERATE);
		r[i]->n_tokens = i == 0 ? 20 : 32;
		r[i]->tokens = calloc(r[i]->n_tokens, sizeof(int32_t));
		for (size_t k = 0; k < r[i]->n_tokens; k++)
			r[i]->tokens[k] = (int32_t)(100 + 7 * k % 200);
		r[i]->max_tokens = i == 0 ? 1 : 8;
		r[i]->sampling.temperature = 0;
		r[i]->ignore_end = true;
		r[i]->no_cache = i == 2;
		text[i] = answer(r[i], REQUEST_LENGTH);
	}
	assert_int_equal(r[1]->cached_tokens, 20);
	assert_int_equal(r[2]->cached_tokens, 0);
	assert_string_equal(text[1], text[2]);
	for (int i = 0; i < 3; i++) {
		request_unref(r[i]);
		free(text[i]);
	}
}

/* A state cannot be taken back to an earlier token: it is computed anew, and says the same. */
static void prefix_of_state(void)
{
	char *texts[2];

	for (int i = 0; i < 2; i++) {
		struct request *r = ask(prompts[4], 8);

		texts[i] = answer(r, REQUEST_LENGTH);
		assert_int_equal(r->cached_tokens, 0);
		request_unref(r);
	}
	assert_string_equal(texts[0], texts[1]);
	free(texts[0]);
	free(texts[1]);
}

static void prefix(void **state)
{
	if (!rewinds()) {
		prefix_of_state();
		return;
	}
	struct request *first = ask(prompts[4], 8), *again = ask(prompts[4], 8), *longer, *busy,
		       *copy;
	char *a = answer(first, REQUEST_LENGTH), *b = answer(again, REQUEST_LENGTH), *text;
	struct request_piece *pieces;
	enum request_end end;

	(void)state;
	assert_string_equal(a, b);
	/* all but the last token were there */
	assert_int_equal(again->cached_tokens, again->prompt_tokens - 1);
	/* a conversation goes on: its past costs nothing */
	text = calloc(1, strlen(prompts[4]) + 32);
	sprintf(text, "%s and a long night", prompts[4]);
	longer = ask(text, 8);
	free(answer(longer, REQUEST_LENGTH));
	assert_true(longer->cached_tokens + 4 >= first->prompt_tokens);
	/* from a slot at work, too */
	busy = ask(text, 200);
	submit(busy);
	request_wait(busy, -1, &pieces);
	request_pieces_free(pieces);
	copy = ask(prompts[4], 8);
	free(b);
	b = answer(copy, REQUEST_LENGTH);
	assert_string_equal(a, b);
	assert_true(copy->cached_tokens >= 16);
	batch_cancel(t.batch, busy);
	free(text_of(busy, &end));
	assert_int_equal(end, REQUEST_CANCELLED);
	request_unref(first);
	request_unref(again);
	request_unref(longer);
	request_unref(busy);
	request_unref(copy);
	free(text);
	free(a);
	free(b);
}

/* More than a shared cache holds at once: who came last waits, and all come to their end. */
static void crowded(void **state)
{
	uint32_t n_ctx = batch_model(t.batch)->n_ctx, n = n_ctx * 2 / 5;
	struct request *r[4];
	enum request_end end;

	(void)state;
	for (int i = 0; i < 4; i++)
		submit(r[i] = ask(prompts[i], n));
	for (int i = 0; i < 4; i++) {
		free(text_of(r[i], &end));
		assert_int_equal(end, REQUEST_LENGTH);
		assert_int_equal(r[i]->generated_tokens, n);
		request_unref(r[i]);
	}
}

static void ends(void **state)
{
	struct request *r = ask(prompts[0], 24);
	char *whole = answer(r, REQUEST_LENGTH), *text, *begin;

	(void)state;
	request_unref(r);
	r = ask(prompts[0], 24);
	r->stop[0] = strdup("never in it");
	r->stop[1] = strndup(whole + 20, 5);
	r->n_stop = 2;
	text = answer(r, REQUEST_STOP);
	begin = strstr(whole, r->stop[1]);
	assert_int_equal(strlen(text), (size_t)(begin - whole));
	assert_memory_equal(text, whole, strlen(text));
	assert_string_equal(r->stopped_by, r->stop[1]);
	request_unref(r);
	free(text);
	free(whole);
	/* to the brim: prompt and text fill the context, and the last token is never computed */
	r = ask(prompts[2], 0);
	free(answer(r, REQUEST_CONTEXT));
	assert_int_equal(r->prompt_tokens + r->generated_tokens, batch_model(t.batch)->n_ctx + 1);
	request_unref(r);
	r = ask(prompts[2], 0);
	r->empty = true;
	text = answer(r, REQUEST_LENGTH);
	assert_string_equal(text, "");
	assert_int_equal(r->generated_tokens, 0);
	free(text);
	request_unref(r);
}

static void cancelled(void **state)
{
	struct request *r[12];
	enum request_end end;
	char *text;

	(void)state;
	for (int i = 0; i < 12; i++)
		submit(r[i] = ask(prompts[i % N], 0));
	for (int i = 0; i < 12; i++)
		batch_cancel(t.batch, r[i]);
	for (int i = 0; i < 12; i++) {
		free(text_of(r[i], &end));
		assert_int_equal(end, REQUEST_CANCELLED);
		request_unref(r[i]);
	}
	r[0] = ask(prompts[0], 4);
	text = answer(r[0], REQUEST_LENGTH);
	free(text);
	request_unref(r[0]);
}

static void grammar(void **state)
{
	struct request *r;
	char *text;

	(void)state;
	for (int i = 0; i < 4; i++) {
		r = ask(prompts[i], 40);
		r->ignore_end = false;
		r->grammar = strdup("root ::= \"is \" (\"the\" | \"a\") \" \" [a-c]{3} \"!\"");
		r->sampling.temperature = i ? 1.5f : 0;
		text = answer(r, REQUEST_DONE);
		assert_true(strncmp(text, "is the ", 7) == 0 || strncmp(text, "is a ", 5) == 0);
		assert_int_equal(strspn(strrchr(text, ' ') + 1, "abc"), 3);
		assert_string_equal(strrchr(text, ' ') + 4, "!");
		free(text);
		request_unref(r);
	}
	r = ask("x", 4);
	r->grammar = strdup("root ::= nothing");
	fails(r, REQUEST_BAD);
	r = ask("x", 4);
	r->grammar = strdup("other ::= \"a\"");
	fails(r, REQUEST_BAD);
}

static void sampling(void **state)
{
	struct request *r;
	char *text[3];

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		r = ask(prompts[0], 16);
		r->no_cache = true; /* a batch of another size rounds otherwise */
		request_sampling_defaults(&r->sampling);
		r->sampling.seeded = true;
		r->sampling.seed = i / 2; /* 0, 0, 1 */
		r->sampling.repeat_penalty = 1.1f;
		r->sampling.typical_p = 0.9f;
		text[i] = answer(r, REQUEST_LENGTH);
		request_unref(r);
	}
	assert_string_equal(text[0], text[1]);
	assert_string_not_equal(text[0], text[2]);
	for (int i = 0; i < 3; i++)
		free(text[i]);
	r = ask("x", 4);
	r->sampling.top_p = NAN;
	fails(r, REQUEST_BAD);
	r = ask("x", 4);
	r->sampling.repeat_penalty = 0;
	fails(r, REQUEST_BAD);
}

static void bias(void **state)
{
	struct request *r = ask("the", 1);
	struct request_piece *pieces;
	enum request_end end = REQUEST_RUNNING;
	int32_t likeliest = -1, second = -1;

	(void)state;
	r->logprobs = true;
	r->n_top = 3;
	submit(r);
	while (!end) {
		end = request_wait(r, 60000, &pieces);
		for (struct request_piece *p = pieces; p; p = p->next) {
			for (uint32_t i = 0; i < p->n_tokens; i++) {
				const struct request_token *k = &p->tokens[i];

				assert_int_equal(k->n_top, 3);
				/* greedy: it is the first of them */
				assert_int_equal(k->id, k->top[0].id);
				assert_true(k->logprob < 0 && k->logprob == k->top[0].logprob);
				assert_true(k->top[0].logprob >= k->top[1].logprob);
				likeliest = k->id;
				second = k->top[1].id;
			}
		}
		request_pieces_free(pieces);
	}
	assert_true(likeliest >= 0);
	request_unref(r);
	/* forbid it, and the next one comes */
	r = ask("the", 1);
	r->logprobs = true;
	r->bias = calloc(1, sizeof(*r->bias));
	r->bias[0] = (struct request_bias) { likeliest, -INFINITY };
	r->n_bias = 1;
	submit(r);
	end = REQUEST_RUNNING;
	while (!end) {
		end = request_wait(r, 60000, &pieces);
		for (struct request_piece *p = pieces; p; p = p->next)
			if (p->n_tokens)
				assert_int_equal(p->tokens[0].id, second);
		request_pieces_free(pieces);
	}
	request_unref(r);
	r = ask("the", 1);
	r->bias = calloc(1, sizeof(*r->bias));
	r->bias[0].token = INT32_MAX;
	r->n_bias = 1;
	fails(r, REQUEST_BAD);
}

static void refused(void **state)
{
	struct request *r = ask("", 4);
	size_t n = 6 * (size_t)batch_model(t.batch)->n_ctx;

	(void)state;
	free(r->text);
	r->text = calloc(1, n + 1);
	for (size_t i = 0; i < n; i++)
		r->text[i] = " ship."[i % 6];
	fails(r, REQUEST_TOO_LONG);
	r = request_new(REQUEST_GENERATE);
	r->tokens = calloc(2, sizeof(*r->tokens));
	r->tokens[1] = 1 << 30;
	r->n_tokens = 2;
	fails(r, REQUEST_BAD);
	fails(request_new(REQUEST_GENERATE), REQUEST_BAD);
	r = ask("x", 4);
	r->stop[0] = strdup("");
	r->n_stop = 1;
	fails(r, REQUEST_BAD);
	r = request_new(REQUEST_EMBED);
	r->text = strdup("x");
	fails(r, REQUEST_UNSUPPORTED);
}

static struct request *chat(const char *content)
{
	struct request *r = ask("", 8);

	free(r->text);
	r->text = NULL;
	r->messages = calloc(1, sizeof(*r->messages));
	r->messages[0] = (struct request_message) { strdup("user"), strdup(content) };
	r->n_messages = 1;
	return r;
}

/* A conversation is the text that the template makes of it. */
static void chats(void **state)
{
	struct request *r = chat("Hello"), *same;
	char *a, *b;

	(void)state;
	assert_false(batch_model(t.batch)->chats);
	fails(r, REQUEST_UNSUPPORTED);
	stop();
	assert_int_equal(start("{{ no such template }}", 8, 0), 0);
	assert_false(batch_model(t.batch)->chats);
	r = chat("Hello");
	submit(r);
	free(text_of(r, &(enum request_end) { 0 }));
	assert_non_null(strstr(r->sentence, "--engine llama-server"));
	request_unref(r);
	stop();
	assert_int_equal(start("chatml", 8, 0), 0);
	assert_true(batch_model(t.batch)->chats);
	r = chat("Hello");
	a = answer(r, REQUEST_LENGTH);
	same = ask("<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n", 8);
	b = answer(same, REQUEST_LENGTH);
	assert_string_equal(a, b);
	assert_int_equal(r->prompt_tokens, same->prompt_tokens);
	request_unref(r);
	request_unref(same);
	free(a);
	free(b);
}

/* A queue has an end, and so has the batch: nobody is left waiting. */
static void full_queue(void **state)
{
	struct request *r[64], *late = ask("x", 4);
	enum request_end end;
	int taken = 0, rc = 0;

	(void)state;
	stop();
	assert_int_equal(start(NULL, 4, 0), 0);
	while (taken < 64 && (rc = batch_submit(t.batch, r[taken] = ask(prompts[0], 0))) == 0)
		taken++;
	assert_int_equal(rc, -EAGAIN);
	assert_true(taken >= 4 && taken < 64);
	request_unref(r[taken]);
	assert_int_equal(write(t.line, "stop\n", 5), 5);
	for (int i = 0; i < taken; i++) {
		free(text_of(r[i], &end));
		assert_true(end == REQUEST_FAILED || end == REQUEST_CONTEXT);
		if (end == REQUEST_FAILED)
			assert_int_equal(r[i]->error, REQUEST_UNAVAILABLE);
		request_unref(r[i]);
	}
	pthread_join(t.thread, NULL);
	assert_int_equal(batch_submit(t.batch, late), -ESHUTDOWN);
	request_unref(late);
	close(t.line);
	control_fini(&t.control);
	batch_close(t.batch);
	assert_int_equal(start(NULL, 64, 0), 0);
}

/* What the page says, and the bytes that it says are held. */
static enum telem_state paged(uint64_t *bytes)
{
	struct telem_page page;
	enum telem_life life;

	assert_int_equal(telem_read(t.page.writer.path, &page, &life, NULL), 0);
	*bytes = 0;
	for (uint32_t i = 0; i < page.run.n_devices; i++)
		*bytes += page.run.devices[i].measured.weights + page.run.devices[i].measured.kv;
	return (enum telem_state)page.run.state;
}

static void sleeps(void **state)
{
	struct request *r = ask(prompts[1], 12);
	char *before = answer(r, REQUEST_LENGTH), *after, path[] = "/tmp/berth-page-XXXXXX";
	struct batch_stats s;
	uint64_t bytes;

	(void)state;
	request_unref(r);
	stop();
	close(mkstemp(path));
	assert_int_equal(page_open(&t.page, path, &t.plan, NULL, &t.e), 0);
	assert_int_equal(start(NULL, 64, 1), 0);
	for (int i = 0; i < 200; i++) {
		batch_stats(t.batch, &s);
		if (s.state == BATCH_ASLEEP)
			break;
		usleep(50000);
	}
	assert_int_equal(s.state, BATCH_ASLEEP);
	assert_int_equal(s.loads, 1);
	assert_true(s.n_devices > 0);
	assert_int_equal(s.devices[s.n_devices - 1].weights_bytes, 0);
	assert_int_equal(paged(&bytes), TELEM_ASLEEP);
	assert_int_equal(bytes, 0);
	r = ask(prompts[1], 12);
	after = answer(r, REQUEST_LENGTH);
	assert_string_equal(before, after);
	batch_stats(t.batch, &s);
	assert_int_equal(s.loads, 2);
	assert_true(s.load_ns > 0);
	assert_true(s.devices[s.n_devices - 1].weights_bytes > 0);
	paged(&bytes);
	assert_true(bytes > 0);
	stop();
	assert_int_equal(paged(&bytes), TELEM_STOPPING);
	page_close(&t.page);
	unlink(path);
	assert_int_equal(start(NULL, 64, 0), 0);
	request_unref(r);
	free(before);
	free(after);
}

/* --- guesses of a draft --- */

/* What is asked of the run with guesses, and of the one without. */
static struct request *draft_case(int i)
{
	static const char *const stop = "sea";
	struct request *r = ask(prompts[i % N], 40);

	r->sampling.temperature = i < N ? 0 : 0.3F;
	r->sampling.seed = (uint32_t)i;
	r->sampling.seeded = true;
	if (i % 3 == 1)
		r->grammar = strdup("root ::= [a-z ,.]+");
	if (i % 3 == 2)
		r->stop[r->n_stop++] = strdup(stop);
	r->logprobs = i % 4 == 0;
	return r;
}

static void ask_all(char *texts[2 * N], uint32_t *drafted, uint32_t *accepted)
{
	struct request *r[2 * N];
	enum request_end end;

	*drafted = *accepted = 0;
	for (int i = 0; i < 2 * N; i++)
		submit(r[i] = draft_case(i));
	for (int i = 0; i < 2 * N; i++) {
		texts[i] = text_of(r[i], &end);
		assert_true(end == REQUEST_LENGTH || end == REQUEST_STOP || end == REQUEST_DONE);
		*drafted += r[i]->drafted_tokens;
		*accepted += r[i]->accepted_tokens;
		request_unref(r[i]);
	}
}

/* A guess never changes what is said: likeliest tokens and drawn ones, grammars, stop strings. */
static void guesses(void **state)
{
	uint32_t drafted, accepted, none;
	char *with[2 * N], *without[2 * N];
	struct batch_stats before, after;

	(void)state;
	batch_stats(t.batch, &before);
	ask_all(with, &drafted, &accepted);
	settled(&after);
	assert_true(drafted > N * 40);
	assert_true(accepted > drafted / 4);
	assert_int_equal(after.counts.drafted_tokens - before.counts.drafted_tokens, drafted);
	assert_int_equal(after.counts.accepted_tokens - before.counts.accepted_tokens, accepted);
	stop();
	t.alone = true;
	assert_int_equal(start(NULL, 64, 0), 0);
	ask_all(without, &none, &none);
	assert_int_equal(none, 0);
	stop();
	t.alone = false;
	assert_int_equal(start(NULL, 64, 0), 0);
	for (int i = 0; i < 2 * N; i++) {
		assert_string_equal(with[i], without[i]);
		free(with[i]);
		free(without[i]);
	}
}

/* A model is never wrong about itself, where the likeliest token is taken. */
static void guesses_itself(void **state)
{
	(void)state;
	if (strcmp(t.plan.draft.path, t.plan.model_path) != 0)
		skip();
	for (int i = 0; i < N; i++) {
		struct request *r = ask(prompts[i], 30);
		uint32_t drafted, most = t.plan.draft.n_max;

		free(answer(r, REQUEST_LENGTH));
		drafted = r->drafted_tokens;
		/* The first token is of the prompt; each pass then has the guesses and one more */
		assert_true(drafted >= 29 * most / (most + 1));
		assert_int_equal(r->accepted_tokens, drafted);
		request_unref(r);
	}
}

/* --- vectors --- */

static float *vector_of(const char *text, uint32_t *n)
{
	struct request *r = request_new(REQUEST_EMBED);
	float *v;

	r->text = strdup(text);
	free(answer(r, REQUEST_DONE));
	v = r->embedding;
	*n = r->n_embedding;
	r->embedding = NULL;
	request_unref(r);
	return v;
}

static double product(const float *a, const float *b, uint32_t n)
{
	double sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += (double)a[i] * (double)b[i];
	return sum;
}

static void vectors(void **state)
{
	uint32_t n = 0;
	float *alone[N];
	struct request *r[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		alone[i] = vector_of(prompts[i], &n);
		assert_int_equal(n, batch_model(t.batch)->n_embd);
		assert_true(fabs(product(alone[i], alone[i], n) - 1) < 1e-4);
	}
	assert_true(product(alone[0], alone[1], n) < 0.999);
	for (int i = 0; i < N; i++) {
		r[i] = request_new(REQUEST_EMBED);
		r[i]->text = strdup(prompts[i]);
		submit(r[i]);
	}
	for (int i = 0; i < N; i++) {
		enum request_end end;

		free(text_of(r[i], &end));
		assert_int_equal(end, REQUEST_DONE);
		assert_true(product(alone[i], r[i]->embedding, n) > 0.9999);
		request_unref(r[i]);
		free(alone[i]);
	}
	fails(ask("x", 4), REQUEST_UNSUPPORTED);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest texts[] = {
		cmocka_unit_test(together), cmocka_unit_test(prefix),
		cmocka_unit_test(crowded),  cmocka_unit_test(goes_on),
		cmocka_unit_test(ends),     cmocka_unit_test(cancelled),
		cmocka_unit_test(grammar),  cmocka_unit_test(sampling),
		cmocka_unit_test(bias),     cmocka_unit_test(refused),
		cmocka_unit_test(chats),    cmocka_unit_test(full_queue),
		cmocka_unit_test(sleeps),
	};
	const struct CMUnitTest drafts[] = {
		cmocka_unit_test(guesses),   cmocka_unit_test(guesses_itself),
		cmocka_unit_test(together),  cmocka_unit_test(prefix),
		cmocka_unit_test(crowded),   cmocka_unit_test(ends),
		cmocka_unit_test(cancelled), cmocka_unit_test(sampling),
		cmocka_unit_test(sleeps),
	};
	const struct CMUnitTest embeds[] = { cmocka_unit_test(vectors) };
	struct err e = { 0 };
	int rc;

	if (argc != 3 || plan_read(&t.plan, argv[2], &e) ||
	    engine_open(&t.engine, argv[1], NULL, ENGINE_NO_BACKENDS, getenv("ECHO") != NULL, &e) ||
	    (t.plan.draft.n_max && engine_beside(&t.draft, t.engine, &e)) || load(NULL, &e) ||
	    start(NULL, 64, 0)) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	rc = t.plan.flags.embeddings ? cmocka_run_group_tests(embeds, NULL, NULL)
	     : t.draft               ? cmocka_run_group_tests(drafts, NULL, NULL)
				     : cmocka_run_group_tests(texts, NULL, NULL);
	stop();
	engine_close(t.draft);
	engine_close(t.engine);
	return rc;
}
