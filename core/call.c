/* SPDX-License-Identifier: MIT */
#include "core/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/telem.h"
#include "base/text.h"

void call_init(struct call *c, struct batch *batch, void (*resume)(void *arg), void *arg)
{
	*c = (struct call) { .batch = batch, .resume = resume, .arg = arg };
	c->last_piece = &c->pieces;
	pthread_mutex_init(&c->lock, NULL);
}

void call_fini(struct call *c)
{
	if (c->n_ended < c->n_in)
		call_cancel(c);
	for (size_t i = 0; i < c->query.n; i++)
		request_detach(c->query.requests[i]);
	query_fini(&c->query);
	request_pieces_free(c->pieces);
	bytes_fini(&c->out);
	free(c->ends);
	pthread_mutex_destroy(&c->lock);
}

static void wake(void *arg)
{
	struct call *c = arg;

	pthread_mutex_lock(&c->lock);
	c->woken = true;
	if (c->asleep) {
		c->asleep = false;
		c->resume(c->arg);
	}
	pthread_mutex_unlock(&c->lock);
}

/* True: it sleeps. False: something came, or nothing may come any more: look again. */
static bool sleep_now(struct call *c, void (*suspend)(void *arg))
{
	bool sleeps;

	pthread_mutex_lock(&c->lock);
	sleeps = !c->woken && !c->dropped;
	c->woken = false;
	if (sleeps) {
		c->asleep = true;
		suspend(c->arg);
	}
	pthread_mutex_unlock(&c->lock);
	return sleeps;
}

void call_cancel(struct call *c)
{
	for (size_t i = 0; i < c->query.n; i++)
		batch_cancel(c->batch, c->query.requests[i]);
}

void call_drop(struct call *c)
{
	pthread_mutex_lock(&c->lock);
	c->dropped = true;
	pthread_mutex_unlock(&c->lock);
	wake(c);
}

static bool is_dropped(struct call *c)
{
	bool dropped;

	pthread_mutex_lock(&c->lock);
	dropped = c->dropped;
	pthread_mutex_unlock(&c->lock);
	return dropped;
}

static void refuse(struct call *c, int status, const char *sentence)
{
	c->why = (struct refusal) { .status = status };
	text_copy(c->why.sentence, sizeof(c->why.sentence), sentence);
}

/*
 * As many as the queue takes. A call of many texts goes on when one of its own has ended; a call that
 * has none there is refused. 0 or -1 with the refusal. Answers to one prompt wait until the first of
 * them has begun: what it computed of the prompt need not be computed again.
 */
static int submit(struct call *c)
{
	while (c->n_in < c->query.n && !c->why.status) {
		struct request *r = c->query.requests[c->n_in];
		int rc;

		if (c->query.alike && c->n_in == 1 && !c->begun)
			return 0;
		r->wake = wake;
		r->wake_arg = c;
		rc = batch_submit(c->batch, r);
		if (rc == -EAGAIN && c->n_in > c->n_ended)
			return 0;
		if (rc) {
			refuse(c, 503,
			       rc == -EAGAIN ? "the queue is full; try again in a moment"
					     : "the run is stopping");
			call_cancel(c);
			return -1;
		}
		c->n_in++;
	}
	return 0;
}

void call_begin(struct call *c, const char *name, uint64_t id)
{
	static const char *const kinds[] = {
		[QUERY_CHAT] = "chatcmpl", [QUERY_COMPLETION] = "cmpl"
	};
	const char *kind = c->query.kind <= QUERY_COMPLETION ? kinds[c->query.kind] : "q";

	c->reply = (struct reply) { .q = &c->query, .model = name, .started_ns = telem_now_ns() };
	snprintf(c->reply.id, sizeof(c->reply.id), "%s-%016llx", kind, (unsigned long long)id);
	clock_gettime(CLOCK_REALTIME, &c->reply.wall);
	c->reply.ends = c->ends = calloc(c->query.n + 1, sizeof(*c->ends));
	if (!c->ends)
		refuse(c, 503, "there is no memory for this request");
	else
		submit(c);
}

static void tick(struct call *c)
{
	struct timespec wall;

	c->reply.now_ns = telem_now_ns();
	clock_gettime(CLOCK_REALTIME, &wall);
	/* OpenAI's `created` is one for all events of an answer; Ollama's is each line's own */
	if (query_is_ollama(c->query.kind))
		c->reply.wall = wall;
}

/* Take what came of all requests. True: something did. */
static bool take(struct call *c)
{
	bool came = false;

	for (size_t i = 0; i < c->n_in; i++) {
		struct request_piece *pieces;
		enum request_end end;

		if (c->ends[i])
			continue;
		end = request_take(c->query.requests[i], &pieces);
		came |= pieces || end;
		for (*c->last_piece = pieces; *c->last_piece;
		     c->last_piece = &(*c->last_piece)->next)
			(*c->last_piece)->of = i;
		if (!end)
			continue;
		c->ends[i] = end;
		c->n_ended++;
		if ((end == REQUEST_FAILED || end == REQUEST_CANCELLED) && !c->why.status) {
			/* One failure is the whole call's */
			reply_refusal(c->query.requests[i], end, &c->why);
			call_cancel(c);
		}
	}
	c->begun |= came;
	return came;
}

/* Nothing more will come. */
static bool is_over(const struct call *c)
{
	return c->n_ended == (c->why.status ? c->n_in : c->query.n);
}

/* Turn the pieces into bytes of the stream, and the end when it is there. */
static void render(struct call *c)
{
	tick(c);
	for (const struct request_piece *p = c->pieces; p; p = p->next)
		reply_piece(&c->out, &c->reply, p);
	request_pieces_free(c->pieces);
	c->pieces = NULL;
	c->last_piece = &c->pieces;
	if (is_over(c) && !c->finished) {
		reply_end(&c->out, &c->reply, &c->why);
		c->finished = true;
	}
}

enum call_next call_next(struct call *c, void (*suspend)(void *arg))
{
	while (!c->why.status) {
		bool came = take(c), all = is_over(c);

		if (c->why.status && !c->pieces)
			break;
		if (c->query.stream && came) {
			submit(c); /* what is refused then is the stream's last event */
			render(c);
			return CALL_STREAM;
		}
		if (c->why.status)
			break;
		if (all) {
			tick(c);
			reply_whole(&c->out, &c->reply, c->pieces);
			c->finished = true;
			return CALL_WHOLE;
		}
		if (came && submit(c))
			break;
		if (sleep_now(c, suspend))
			return CALL_SLEEP;
		if (is_dropped(c))
			refuse(c, 503, "the run is stopping");
	}
	call_cancel(c);
	return CALL_REFUSED;
}

long call_read(struct call *c, char *buf, size_t max, void (*suspend)(void *arg))
{
	for (;;) {
		size_t n = c->out.n - c->sent;

		if (c->out.lost || is_dropped(c))
			return -2;
		if (n > 0) {
			n = n < max ? n : max;
			memcpy(buf, c->out.p + c->sent, n);
			c->sent += n;
			return (long)n;
		}
		c->out.n = c->sent = 0;
		if (c->finished)
			return -1;
		if (take(c)) {
			submit(c);
			render(c);
		} else if (sleep_now(c, suspend)) {
			return 0;
		}
	}
}
