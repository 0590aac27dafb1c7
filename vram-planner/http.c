/* SPDX-License-Identifier: MIT */
/* Answers of HTTP servers to range requests (RFC 9110, sections 8.8.3, 14.4, 15). */
#include "vram-planner/http.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "base/text.h"

void http_begin(struct http_answer *a)
{
	*a = (struct http_answer) { .length = HTTP_UNKNOWN, .total = HTTP_UNKNOWN };
}

/* Digits only, at most 18: far beyond any file, and no overflow. Returns the end, NULL: no number. */
static const char *number(const char *s, uint64_t *v)
{
	size_t n = strspn(s, "0123456789");

	if (n == 0 || n > 18)
		return NULL;
	*v = strtoull(s, NULL, 10);
	return s + n;
}

/* "bytes 0-99/1234", "bytes 0-99/" and a star where the server does not know; "bytes star/1234" of a 416. */
static void read_range(struct http_answer *a, const char *s)
{
	uint64_t from = 0, to = 0, total = HTTP_UNKNOWN;
	bool none = false;

	a->bad_range = true;
	if (strncasecmp(s, "bytes ", 6) != 0)
		return;
	s += 6;
	if (*s == '*') {
		none = true;
		s++;
	} else {
		s = number(s, &from);
		if (!s || *s != '-')
			return;
		s = number(s + 1, &to);
	}
	if (!s || *s != '/')
		return;
	if (strcmp(s + 1, "*") != 0) {
		s = number(s + 1, &total);
		if (!s || *s)
			return;
	}
	if (!none && (to < from || to >= total))
		return;
	a->bad_range = false;
	a->has_range = !none;
	a->from = from;
	a->to = to;
	a->total = total;
}

static void read_length(struct http_answer *a, const char *s)
{
	const char *end = number(s, &a->length);

	if (!end || *end)
		a->length = HTTP_UNKNOWN;
}

static void read_etag(struct http_answer *a, const char *s)
{
	a->etag[0] = '\0';
	/* It goes back to the server in a header of ours. */
	for (const char *c = s; *c; c++) {
		if ((unsigned char)*c < 0x21 || (unsigned char)*c > 0x7e)
			return;
	}
	if (!text_copy(a->etag, sizeof(a->etag), s))
		a->etag[0] = '\0';
}

/* Hugging Face's hub: for a large file this tag is its SHA-256; for a small one a shorter hash. */
static void read_linked(struct http_answer *a, const char *s)
{
	size_t quote = *s == '"', n = strspn(s + quote, "0123456789abcdef");

	a->sha256[0] = '\0';
	if (n == 64 && strcmp(s + quote + n, quote ? "\"" : "") == 0)
		snprintf(a->sha256, sizeof(a->sha256), "%.64s", s + quote);
}

static void read_encoding(struct http_answer *a, const char *s)
{
	a->encoded = strcasecmp(s, "identity") != 0;
}

static void read_error_code(struct http_answer *a, const char *s)
{
	a->wants_token = strcasecmp(s, "GatedRepo") == 0;
}

static void read_message(struct http_answer *a, const char *s)
{
	text_copy(a->message, sizeof(a->message), s);
	text_clean(a->message);
}

/* The lines that matter. */
static const struct {
	const char *name;
	void (*read)(struct http_answer *a, const char *value);
} headers[] = {
	{ "content-range", read_range },
	{ "content-length", read_length },
	{ "etag", read_etag },
	{ "x-linked-etag", read_linked },
	{ "content-encoding", read_encoding },
	{ "x-error-code", read_error_code },
	{ "x-error-message", read_message },
};

static void status_line(struct http_answer *a, const char *line)
{
	const char *code = strchr(line, ' ');
	uint64_t v = 0;

	http_begin(a);
	if (code && number(code + 1, &v) && v < 1000)
		a->status = (int)v;
}

void http_line(struct http_answer *a, const char *line, size_t n)
{
	char copy[1024];

	if (n >= sizeof(copy) || memchr(line, '\0', n) || ++a->n_lines > HTTP_HEADERS_MAX)
		return;
	memcpy(copy, line, n);
	copy[n] = '\0';
	text_trim(copy);
	if (strncmp(copy, "HTTP/", 5) == 0) {
		status_line(a, copy);
		return;
	}
	char *colon = strchr(copy, ':');

	if (!colon)
		return;
	*colon = '\0';
	const char *value = colon + 1 + strspn(colon + 1, " \t");

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		if (strcasecmp(headers[i].name, copy) == 0)
			headers[i].read(a, value);
	}
}

/* --- judging --- */

static enum http_verdict refused(const struct http_answer *a, struct err *e)
{
	const char *sep = a->message[0] ? ": " : "";

	if (a->status == 404 || a->status == 410)
		err_set(e, -ENOENT, "the server has no such file (HTTP %d%s%s)", a->status, sep,
			a->message);
	else if (a->status == 401 || a->status == 403)
		err_set(e, -EACCES,
			"the server wants permission (HTTP %d%s%s); a gated or private repository "
			"needs HF_TOKEN%s",
			a->status, sep, a->message,
			a->wants_token ? ", and its terms accepted on its page" : "");
	else if (a->status == 429)
		err_set(e, -EAGAIN, "the server says too many requests (HTTP 429); try later");
	else if (a->status >= 500)
		err_set(e, -EAGAIN, "the server failed (HTTP %d%s%s)", a->status, sep, a->message);
	else
		err_set(e, -EBADMSG, "the server's answer makes no sense (HTTP %d)", a->status);
	return HTTP_BAD;
}

static enum http_verdict part(const struct http_answer *a, uint64_t at, uint64_t n, struct err *e)
{
	if (!a->has_range)
		err_set(e, -EBADMSG, "the server answered with a part but does not say which");
	else if (a->from != at || a->to - a->from >= n)
		err_set(e, -EBADMSG,
			"the server sent the bytes %" PRIu64 "-%" PRIu64
			", not those asked for from %" PRIu64,
			a->from, a->to, at);
	else if (a->length != HTTP_UNKNOWN && a->length != a->to - a->from + 1)
		err_set(e, -EBADMSG,
			"the server says %" PRIu64 " bytes follow, and that they are %" PRIu64
			"-%" PRIu64,
			a->length, a->from, a->to);
	else
		return HTTP_PART;
	return HTTP_BAD;
}

/* Between two requests of one header the file must stay what it was. */
static bool same_file(const struct http_answer *a, const char *etag, uint64_t total, struct err *e)
{
	bool other_tag = etag[0] && a->etag[0] && strcmp(etag, a->etag) != 0;
	bool other_size = total != HTTP_UNKNOWN && a->total != HTTP_UNKNOWN && total != a->total;

	if (other_tag || other_size)
		err_set(e, -ESTALE, "the file changed on the server while it was read; try again");
	return !other_tag && !other_size;
}

enum http_verdict http_judge(const struct http_answer *a, uint64_t at, uint64_t n, const char *etag,
			     uint64_t total, struct err *e)
{
	if (a->status == 304)
		return HTTP_UNCHANGED;
	if (a->status >= 301 && a->status <= 308 && a->status != 305 && a->status != 306)
		return HTTP_REDIRECT;
	if (a->bad_range) {
		err_set(e, -EBADMSG, "the server's Content-Range makes no sense");
		return HTTP_BAD;
	}
	if (a->status == 416)
		return HTTP_END;
	if (a->status != 200 && a->status != 206)
		return refused(a, e);
	if (a->encoded) {
		err_set(e, -EBADMSG, "the server sent the file compressed, which nobody asked for");
		return HTTP_BAD;
	}
	if (!same_file(a, etag, total, e))
		return HTTP_BAD;
	if (a->status == 206)
		return part(a, at, n, e);
	if (at == 0)
		return HTTP_WHOLE;
	err_set(e, -EBADMSG, "the server sent a part first and now only the whole file");
	return HTTP_BAD;
}

/* --- names --- */

bool http_is_url(const char *s)
{
	return strncasecmp(s, "https://", 8) == 0 || strncasecmp(s, "http://", 7) == 0;
}

/* What Hugging Face allows in names, and '/' between the folders of a path. */
static bool name_ok(const char *s, size_t n, bool path)
{
	if (n == 0 || n > 400 || *s == '/' || *s == '.')
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '/' && (!path || s[i + 1] == '/' || strncmp(s + i, "/..", 3) == 0))
			return false;
		if (c <= ' ' || c >= 0x7f || strchr("\\?#%<>\"{}|^`", c))
			return false;
	}
	return true;
}

int http_from_hf(const char *name, const char *endpoint, char *url, size_t size, struct err *e)
{
	const char *org = name + 3;
	size_t n_org = strcspn(org, "/");
	const char *repo = org + n_org + (org[n_org] == '/');
	size_t n_repo = strcspn(repo, "/@");
	const char *rev = "main", *path = repo + n_repo;
	size_t n_rev = 4;

	if (*path == '@') {
		rev = path + 1;
		n_rev = strcspn(rev, "/");
		path = rev + n_rev;
	}
	path += *path == '/';
	if (!name_ok(org, n_org, false) || !name_ok(repo, n_repo, false) ||
	    !name_ok(rev, n_rev, false) || !name_ok(path, strlen(path), true))
		return err_set(
			e, -EINVAL,
			"'%.200s' names no file of a repository; write hf:ORG/REPO/FILE.gguf",
			name);
	int len = snprintf(url, size, "%s/%.*s/%.*s/resolve/%.*s/%s", endpoint, (int)n_org, org,
			   (int)n_repo, repo, (int)n_rev, rev, path);

	return len < 0 || (size_t)len >= size ? err_set(e, -ENAMETOOLONG, "the name is too long")
					      : 0;
}

bool http_may_send_token(const char *scheme, const char *host, const char *endpoint)
{
	size_t n = strlen(host);

	if (strcasecmp(scheme, "https") != 0 || strncasecmp(endpoint, "https://", 8) != 0 || n == 0)
		return false;
	endpoint += 8;
	return strncasecmp(endpoint, host, n) == 0 &&
	       (!endpoint[n] || endpoint[n] == '/' || endpoint[n] == ':');
}

void http_cache_name(const char *url, char hex[65])
{
	hash_sha256(url, strlen(url), hex);
}
