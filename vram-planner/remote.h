/* SPDX-License-Identifier: MIT */
/* A file behind HTTP, read by ranges, and what was read of it kept in the user's cache. */
#ifndef BERTH_REMOTE_H
#define BERTH_REMOTE_H

#include "base/text.h"
#include "vram-planner/reader.h"

struct remote_opts {
	const char *endpoint;  /* of Hugging Face, "https://huggingface.co" */
	const char *token;     /* for that endpoint alone; NULL: none */
	const char *cache_dir; /* NULL: keep nothing */
	uint32_t timeout_s;    /* without progress */
};

/*
 * Open a URL. Nothing is asked yet; read() does. Its errors: those of http_judge(), -ETIMEDOUT,
 * -EHOSTUNREACH, -ECONNRESET..., -ENOSYS when berth was built without libcurl.
 */
int remote_open(struct reader **r, const char *url, const struct remote_opts *o, struct err *e);

/* What the server said of the file, once something was read of it. */
struct remote_facts {
	char etag[160];  /* "" none */
	char sha256[65]; /* "" not told */
	bool ranges;     /* it may be read from anywhere; else only on and on */
};

void remote_facts(const struct reader *r, struct remote_facts *f);

/*
 * Before the first read: this is the file that was begun. Another one is -ESTALE.
 */
void remote_expect(struct reader *r, const char *etag, uint64_t total);

/* After a failed read: the connection broke amid an answer; so many bytes of the buffer are good. */
bool remote_broke(const struct reader *r, uint64_t *good);

/* Fetch a whole small text, such as a listing: at most `max` bytes; the caller frees it. */
int remote_fetch(char **bytes, size_t *n, const char *url, size_t max, const struct remote_opts *o,
		 struct err *e);

#endif
