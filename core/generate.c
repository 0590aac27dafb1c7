/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/own.h"
#include "core/generate.h"
#include "core/utf8.h"

static bool must_stop(const struct generate *g, struct outcome *o)
{
	control_poll(g->control, 0);
	if (g->control->stop)
		o->stop = "stopped";
	return g->control->stop;
}

/* The prompt, in batches. o->stop is set when it was not computed to its end. */
static enum failure read_prompt(const struct generate *g, int32_t *tokens, uint32_t n,
				struct outcome *o, struct err *e)
{
	uint64_t start = clock_ns();

	for (uint32_t done = 0; done < n;) {
		uint32_t part = n - done < g->batch ? n - done : g->batch;
		enum failure f;

		if (must_stop(g, o))
			return FAILURE_NONE;
		f = engine_decode(g->engine, tokens + done, part, e);
		if (f)
			return f;
		done += part;
		o->prompt_tokens = done;
		o->prompt_ns = clock_ns() - start;
		page_outcome(g->page, o, done);
	}
	return FAILURE_NONE;
}

/* 0 or a negative errno; -EPIPE: nobody reads us any more. */
static int put(const struct generate *g, struct utf8 *u, const char *bytes, size_t n)
{
	char out[256 + 4];
	size_t k = utf8_pass(u, bytes, n, out);

	errno = EIO; /* for a stream that failed before */
	return fwrite(out, 1, k, g->out) == k && fflush(g->out) == 0 ? 0 : -errno;
}

/* A reader that has enough is an end like any other; a full disk has cost tokens. */
static enum failure cannot_put(int rc, struct outcome *o, struct err *e)
{
	o->stop = "closed";
	if (rc == -EPIPE)
		return FAILURE_NONE;
	err_set(e, rc, "the text cannot be written to standard output: %s", strerror(-rc));
	return FAILURE_OUTPUT;
}

static enum failure write_tokens(const struct generate *g, uint32_t used, struct outcome *o,
				 struct err *e)
{
	uint64_t first = 0;
	uint32_t n_ctx = engine_n_ctx(g->engine);
	struct utf8 u = { .n_held = 0 };

	while (!must_stop(g, o)) {
		int32_t token = engine_sample(g->engine);
		char piece[256];
		enum failure f;
		int rc;

		if (engine_is_end(g->engine, token)) {
			o->stop = "eog";
			break;
		}
		/* The prompt's computation has paid for the first token: the clock starts with it. */
		if (o->generated_tokens++ == 0)
			first = clock_ns();
		o->generated_ns = clock_ns() - first;
		page_outcome(g->page, o, used);
		rc = put(g, &u, piece, engine_piece(g->engine, token, piece, sizeof(piece)));
		if (rc)
			return cannot_put(rc, o, e);
		if (g->max_tokens && o->generated_tokens >= g->max_tokens) {
			o->stop = "length";
			break;
		}
		if (used >= n_ctx) {
			o->stop = "context";
			break;
		}
		f = engine_decode(g->engine, &token, 1, e);
		if (f)
			return f;
		used++;
	}
	int rc = put(g, &u, NULL, 0);

	return rc ? cannot_put(rc, o, e) : FAILURE_NONE;
}

enum failure generate_run(const struct generate *g, struct outcome *o, struct err *e)
{
	own_free int32_t *tokens = NULL;
	uint32_t n_ctx = engine_n_ctx(g->engine);
	long n = engine_tokenize(g->engine, g->prompt, &tokens, e);
	enum failure f;

	o->stop = "";
	if (n < 0)
		return FAILURE_OOM;
	if (n == 0) {
		err_set(e, -EINVAL,
			"the prompt is empty, and this model has no token to begin with");
		return FAILURE_CONTEXT;
	}
	if (n > n_ctx) {
		err_set(e, -E2BIG,
			"the prompt has %ld tokens and the context holds %u; give -c a larger number",
			n, n_ctx);
		return FAILURE_CONTEXT;
	}
	f = read_prompt(g, tokens, (uint32_t)n, o, e);
	if (f || o->stop[0])
		return f;
	return write_tokens(g, (uint32_t)n, o, e);
}
