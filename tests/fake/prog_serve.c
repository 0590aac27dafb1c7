/* SPDX-License-Identifier: MIT */
/*
 * The core's HTTP over a batch that computes nothing: it gives the words of the prompt back. What it
 * does is in the prompt's first word: "fail" fails, "bytes" gives what is no UTF-8, "slow" and "hang"
 * take their time and are ended by being cancelled, all else is answered at once.
 *
 *   prog_serve --listen WHERE [--ollama WHERE] [--key-file FILE] [--queue N] [--connections N] [--seconds N] [--body N]
 *
 * Ends with its standard input.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "core/guard.h"
#include "core/server.h"

#define HELD_MAX 1024

struct held {
	struct request *r;
	const char *at; /* what is left of the text */
	uint32_t steps;
};

struct batch {
	pthread_mutex_t lock;
	struct held held[HELD_MAX];
	uint32_t n, queue_max;
	struct batch_stats stats;
	struct batch_model model;
	bool stop;
};

int batch_submit(struct batch *b, struct request *r)
{
	int rc = 0;

	pthread_mutex_lock(&b->lock);
	if (b->n == b->queue_max)
		rc = -EAGAIN;
	else
		b->held[b->n++] = (struct held) { .r = request_ref(r) };
	b->stats.counts.requests += rc == 0;
	pthread_mutex_unlock(&b->lock);
	return rc;
}

void batch_cancel(struct batch *b, struct request *r)
{
	(void)b;
	request_cancel(r);
}

void batch_stats(struct batch *b, struct batch_stats *s)
{
	pthread_mutex_lock(&b->lock);
	*s = b->stats;
	s->state = BATCH_READY;
	s->busy = b->n;
	s->queue_max = b->queue_max;
	pthread_mutex_unlock(&b->lock);
}

const struct batch_model *batch_model(const struct batch *b)
{
	return &b->model;
}

static const char *text_of(const struct request *r)
{
	return r->n_messages ? r->messages[r->n_messages - 1].content
	       : r->text     ? r->text
			     : "tokens";
}

static bool starts(const char *text, const char *word)
{
	return strncmp(text, word, strlen(word)) == 0;
}

static void embed(struct request *r)
{
	r->n_embedding = 3;
	r->embedding = calloc(3, sizeof(float));
	if (!r->embedding)
		abort();
	r->embedding[0] = 0.6f;
	r->embedding[1] = -0.8f;
	r->prompt_tokens = 2;
	request_finish(r, REQUEST_DONE);
}

static void give(struct request *r, const char *s, size_t n)
{
	struct request_token *t = NULL;

	if (r->logprobs) {
		t = calloc(1, sizeof(*t));
		if (!t)
			abort();
		t->logprob = -0.25f;
		t->n_text = (uint8_t)(n > 63 ? 63 : n);
		memcpy(t->text, s, t->n_text);
	}
	if (request_add(r, s, n, t, t != NULL))
		abort();
	r->generated_tokens++;
	r->generated_ns += 1000000;
}

/* One step of one request; true: it is over. */
static bool step(struct batch *b, struct held *h)
{
	struct request *r = h->r;
	const char *text = text_of(r);
	size_t n;

	if (atomic_load(&r->cancelled)) {
		b->stats.cancelled++;
		request_finish(r, REQUEST_CANCELLED);
		return true;
	}
	if (h->steps++ == 0)
		r->prompt_tokens = (uint32_t)strlen(text) / 4 + 1;
	if (starts(text, "hang"))
		return false;
	if (starts(text, "fail")) {
		request_fail(r, REQUEST_TOO_LONG, "the prompt has too many tokens");
		return true;
	}
	if (r->kind == REQUEST_EMBED) {
		embed(r);
		return true;
	}
	if (starts(text, "slow")) {
		if (h->steps % 10 == 1)
			give(r, "slow ", 5);
		return false;
	}
	if (!h->at)
		h->at = starts(text, "bytes") ? "a\xff\xc3(\xe2\x82\xac" : text;
	n = strcspn(h->at, " ");
	n += h->at[n] == ' ';
	if (n)
		give(r, h->at, n);
	h->at += n;
	if (r->max_tokens && r->generated_tokens >= r->max_tokens) {
		request_finish(r, REQUEST_LENGTH);
		return true;
	}
	if (*h->at)
		return false;
	request_finish(r, REQUEST_DONE);
	return true;
}

static void *engine(void *arg)
{
	struct batch *b = arg;

	for (;;) {
		pthread_mutex_lock(&b->lock);
		for (uint32_t i = 0; i < b->n;) {
			struct request *r = b->held[i].r;

			if (b->stop)
				request_cancel(r);
			if (!step(b, &b->held[i])) {
				i++;
				continue;
			}
			request_unref(r);
			b->held[i] = b->held[--b->n];
		}
		if (b->stop && b->n == 0) {
			pthread_mutex_unlock(&b->lock);
			return NULL;
		}
		pthread_mutex_unlock(&b->lock);
		usleep(1000);
	}
}

static const char *option(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], name) == 0)
			return argv[i + 1];
	}
	return NULL;
}

static uint64_t number(int argc, char **argv, const char *name, uint64_t otherwise)
{
	const char *s = option(argc, argv, name);

	return s ? strtoull(s, NULL, 10) : otherwise;
}

static struct batch fake = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.model = { .name = "Fake",
		   .arch = "llama",
		   .quant = "Q4_K - Medium",
		   .size_bytes = 1 << 20,
		   .n_params = 1234567,
		   .n_ctx = 512,
		   .n_ctx_train = 4096,
		   .n_embd = 3,
		   .n_layer = 8,
		   .modified_s = 1700000000,
		   .chats = true },
	.stats = { .slots = 4,
		   .ctx_tokens = 512,
		   .n_devices = 2,
		   .devices = { { "Vulkan0", "0000:01:00.0", 100, 20, 3 },
				{ "CPU", "", 7, 0, 0 } } },
};

int main(int argc, char **argv)
{
	struct sockets sockets = { 0 };
	static char key[GUARD_KEY_MAX + 1];
	const char *key_file = option(argc, argv, "--key-file");
	struct server *s = NULL;
	struct server_options o = { .batch = &fake, .name = "fake", .sockets = sockets.list };
	struct err e = { 0 };
	pthread_t thread;
	char end;
	const char *main_at = option(argc, argv, "--listen"),
		   *ollama_at = option(argc, argv, "--ollama");
	int rc = sockets_inherit(&sockets, &e);

	fake.queue_max = (uint32_t)number(argc, argv, "--queue", HELD_MAX);
	o.connections_max = (uint32_t)number(argc, argv, "--connections", 0);
	o.client_s = (uint32_t)number(argc, argv, "--seconds", 0);
	o.body_max = number(argc, argv, "--body", 0);
	if (rc == 0 && key_file) {
		rc = guard_read_key(key_file, key, &e);
		o.key = key;
	}
	if (rc == 0 && main_at)
		rc = sockets_open(&sockets, main_at, false, &e);
	if (rc == 0 && ollama_at)
		rc = sockets_open(&sockets, ollama_at, true, &e);
	o.n_sockets = sockets.n;
	if (rc == 0)
		rc = server_start(&s, &o, &e);
	if (rc) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	if (pthread_create(&thread, NULL, engine, &fake))
		return 1;
	for (uint32_t i = 0; i < o.n_sockets; i++)
		printf("%s\n", sockets.list[i].where);
	fflush(stdout);
	while (read(STDIN_FILENO, &end, 1) > 0)
		continue;
	server_stop(s);
	sockets_close(&sockets);
	pthread_mutex_lock(&fake.lock);
	fake.stop = true;
	pthread_mutex_unlock(&fake.lock);
	pthread_join(thread, NULL);
	return 0;
}
