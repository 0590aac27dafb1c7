/* SPDX-License-Identifier: MIT */
/*
 * What is ours of HTTP: reading a server's answer to a range request, and deciding what to make of it.
 * Pure; the transfer is remote.c's. A server is hostile: its numbers are checked against each other.
 */
#ifndef BERTH_HTTP_H
#define BERTH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HTTP_URL_MAX       4096
#define HTTP_REDIRECTS_MAX 5
#define HTTP_HEADERS_MAX   200 /* lines of one answer */

#define HTTP_UNKNOWN UINT64_MAX

/* One answer, line by line: http_begin(), then http_line() for each. */
struct http_answer {
	int status;
	uint32_t n_lines;
	uint64_t length;   /* Content-Length */
	bool has_range;    /* Content-Range was there, and sound */
	bool bad_range;    /* it was there, and not */
	uint64_t from, to; /* the bytes it holds, both included */
	uint64_t total;    /* of the whole, from Content-Range */
	char etag[160];    /* with its quotes; "" none, or too long to be one */
	char sha256[65];   /* of the file, by a hub that tells (X-Linked-Etag); "" unknown */
	bool encoded;      /* compressed, which nobody asked for */
	bool wants_token;  /* Hugging Face: a gated repository */
	char message[160]; /* X-Error-Message, cleaned */
};

void http_begin(struct http_answer *a);

/* A header line without its end. Status lines begin the answer anew, as after a "100 Continue". */
void http_line(struct http_answer *a, const char *line, size_t n);

enum http_verdict {
	HTTP_PART,      /* the bytes that were asked for */
	HTTP_WHOLE,     /* everything from byte 0: this server knows no ranges */
	HTTP_UNCHANGED, /* what is in the cache still stands */
	HTTP_REDIRECT,
	HTTP_END, /* there is nothing at or after this byte */
	HTTP_BAD, /* *e says why */
};

/*
 * Judge the answer to a request of n bytes from `at`; `etag` and `total` are those of the answer before
 * ("" and HTTP_UNKNOWN: the first). e->rc is -ENOENT (404, 410), -EACCES (401, 403), -EAGAIN (429, 5xx),
 * -ESTALE (the file changed meanwhile), -EBADMSG (an answer that contradicts itself).
 */
enum http_verdict http_judge(const struct http_answer *a, uint64_t at, uint64_t n, const char *etag,
			     uint64_t total, struct err *e);

/* Begins with http:// or https:// */
bool http_is_url(const char *s);

/*
 * "hf:ORG/REPO/PATH", "hf:ORG/REPO@REV/PATH" -> the URL at `endpoint` ("https://huggingface.co").
 * -EINVAL with *e when it is no such name.
 */
int http_from_hf(const char *name, const char *endpoint, char *url, size_t size, struct err *e);

/*
 * Whether a token of Hugging Face may go with a request to scheme://host: over https, and only to the
 * endpoint's own host.
 */
bool http_may_send_token(const char *scheme, const char *host, const char *endpoint);

/* A name for a cache's file. */
void http_cache_name(const char *url, char hex[65]);

#endif
