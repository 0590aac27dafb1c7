/* SPDX-License-Identifier: MIT */
/*
 * HTTP by libcurl: the only file that includes it. Ranges of 4 MiB where the server knows ranges; one
 * transfer that is paused between two pieces, and dropped when the header is read, where it does not.
 * Redirects are followed here, hop by hop, so that the token goes to its own host and nowhere else.
 */
#include "vram-planner/remote.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vram-planner/header_cache.h"
#include "vram-planner/http.h"

#ifdef HAVE_libcurl
#include <curl/curl.h>

#define SPEED_LEAST 1000 /* bytes a second; slower than this on average is a stall */

struct remote {
	struct reader r;
	struct remote_opts o;
	char url[HTTP_URL_MAX]; /* as named */
	char now[HTTP_URL_MAX]; /* where redirects led: further ranges go there at once */
	char etag[160];
	char sha256[65];
	uint64_t total;
	struct cached cached;
	bool from_cache; /* the server said that it still stands, or cannot be reached */

	CURL *easy;
	CURLM *multi;
	struct curl_slist *headers;
	bool added; /* easy is in multi */

	/* The request at hand, and what came of it. */
	uint64_t asked_at, asked_n;
	struct http_answer answer;
	bool judged;
	enum http_verdict verdict;
	struct err why;
	bool paused, done;
	CURLcode result;
	char curl_says[CURL_ERROR_SIZE];

	uint8_t *buf; /* where the body goes, at most n bytes of it */
	uint64_t n, got;
	bool whole; /* the body is the file from byte 0: the transfer stays open between reads */
	uint64_t body_at;                /* of the next byte, while whole */
	char spill[CURL_MAX_WRITE_SIZE]; /* of the last piece, what went beyond n */
	size_t n_spill;
};

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct remote *m = arg;

	http_line(&m->answer, line, size * n);
	return m->answer.n_lines > HTTP_HEADERS_MAX ? 0 : size * n;
}

static void judge(struct remote *m)
{
	const struct http_answer *a = &m->answer;

	if (m->judged)
		return;
	m->judged = true;
	m->verdict = http_judge(a, m->asked_at, m->asked_n, m->etag, m->total, &m->why);
	/* A server may send less of the range than was asked for, but must send what it says. */
	if (m->verdict == HTTP_PART)
		m->n = a->to - a->from + 1;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct remote *m = arg;

	n *= size;
	judge(m);
	/* The text of an error or a redirect is of no use, and nobody knows how long it is. */
	if (m->verdict != HTTP_PART && m->verdict != HTTP_WHOLE)
		return 0;
	m->whole = m->verdict == HTTP_WHOLE;
	if (m->whole && m->got == m->n) {
		m->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	size_t fits = n < m->n - m->got ? n : (size_t)(m->n - m->got);

	if (fits < n && !m->whole)
		return 0; /* more than was asked for */
	memcpy(m->buf + m->got, bytes, fits);
	m->got += fits;
	m->n_spill = n - fits;
	memcpy(m->spill, bytes + fits, m->n_spill);
	return n;
}

/* --- one request --- */

static int curl_failed(const struct remote *m, struct err *e)
{
	static const struct {
		CURLcode code;
		int rc;
		const char *what;
	} failures[] = {
		{ CURLE_COULDNT_RESOLVE_HOST, -EHOSTUNREACH, "the server's name is unknown" },
		{ CURLE_COULDNT_RESOLVE_PROXY, -EHOSTUNREACH, "the proxy's name is unknown" },
		{ CURLE_COULDNT_CONNECT, -ECONNREFUSED, "the server cannot be reached" },
		{ CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT, "the server is silent or too slow" },
		{ CURLE_PARTIAL_FILE, -EBADMSG, "the server ended the transfer too early" },
		{ CURLE_GOT_NOTHING, -EBADMSG, "the server answered nothing" },
		{ CURLE_RECV_ERROR, -ECONNRESET, "the connection was lost" },
		{ CURLE_WRITE_ERROR, -EBADMSG, "the server sent more than was asked for" },
		{ CURLE_PEER_FAILED_VERIFICATION, -EPROTO, "the server's certificate is not good" },
		{ CURLE_URL_MALFORMAT, -EINVAL, "is no URL" },
	};
	char says[CURL_ERROR_SIZE];

	text_copy(says, sizeof(says), m->curl_says);
	text_clean(says);
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		if (failures[i].code == m->result)
			return err_set(e, failures[i].rc, "%s%s%s%s", failures[i].what,
				       says[0] ? " (" : "", says, says[0] ? ")" : "");
	}
	return err_set(e, -EPROTO, "the transfer failed: %s",
		       says[0] ? says : curl_easy_strerror(m->result));
}

static void stop(struct remote *m)
{
	if (m->added)
		curl_multi_remove_handle(m->multi, m->easy);
	m->added = false;
	m->whole = false;
	m->n_spill = 0;
}

/* Let the transfer run until the buffer is full or the body ends. */
static void pump(struct remote *m)
{
	while (!m->done && !m->paused) {
		int running = 0, left;

		if (curl_multi_perform(m->multi, &running) != CURLM_OK)
			m->done = true;
		for (CURLMsg *msg; (msg = curl_multi_info_read(m->multi, &left));) {
			if (msg->msg != CURLMSG_DONE)
				continue;
			m->done = true;
			m->result = msg->data.result;
		}
		if (!m->done && !m->paused)
			curl_multi_poll(m->multi, NULL, 0, 1000, NULL);
	}
	if (m->done)
		judge(m);
}

/* The parts of m->now that matter; a password in a URL would end up in logs and caches. */
static int look_at_url(const struct remote *m, bool *token, bool *https, struct err *e)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *user = NULL;
	int rc = 0;

	if (!u || curl_url_set(u, CURLUPART_URL, m->now, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		rc = err_set(e, -EINVAL, "is no URL");
	else if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK)
		rc = err_set(e, -EINVAL, "has a user name in it; give the URL without");
	else
		*token = m->o.token && http_may_send_token(scheme, host, m->o.endpoint);
	*https = scheme && strcmp(scheme, "https") == 0;
	curl_free(scheme);
	curl_free(host);
	curl_free(user);
	curl_url_cleanup(u);
	return rc;
}

static int add_header(struct remote *m, const char *line, struct err *e)
{
	struct curl_slist *grown = curl_slist_append(m->headers, line);

	if (!grown)
		return err_set(e, -ENOMEM, "no memory");
	m->headers = grown;
	return 0;
}

static int set_headers(struct remote *m, bool token, struct err *e)
{
	char line[1024];
	int rc = 0;

	curl_slist_free_all(m->headers);
	m->headers = NULL;
	if (token) {
		snprintf(line, sizeof(line), "Authorization: Bearer %.900s", m->o.token);
		rc = add_header(m, line, e);
	}
	if (!rc && m->asked_at == 0 && m->cached.bytes) {
		snprintf(line, sizeof(line), "If-None-Match: %s", m->cached.etag);
		rc = add_header(m, line, e);
	}
	curl_easy_setopt(m->easy, CURLOPT_HTTPHEADER, m->headers);
	return rc;
}

static int start(struct remote *m, struct err *e)
{
	char range[48];
	bool token = false, https;
	int rc = look_at_url(m, &token, &https, e);

	if (rc)
		return rc;
	stop(m);
	rc = set_headers(m, token, e);
	if (rc)
		return rc;
	snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64, m->asked_at,
		 m->asked_at + m->asked_n - 1);
	http_begin(&m->answer);
	m->judged = m->paused = m->done = false;
	m->got = 0;
	m->result = CURLE_OK;
	m->curl_says[0] = '\0';
	curl_easy_setopt(m->easy, CURLOPT_URL, m->now);
	curl_easy_setopt(m->easy, CURLOPT_RANGE, range);
	m->added = curl_multi_add_handle(m->multi, m->easy) == CURLM_OK;
	return m->added ? 0 : err_set(e, -ENOMEM, "no memory");
}

static int redirect(struct remote *m, uint32_t hop, struct err *e)
{
	char *to = NULL;
	bool token, from_https = false, to_https = false;

	if (m->answer.sha256[0])
		text_copy(m->sha256, sizeof(m->sha256), m->answer.sha256);
	if (hop == HTTP_REDIRECTS_MAX)
		return err_set(e, -EBADMSG, "the server redirects more than %d times",
			       HTTP_REDIRECTS_MAX);
	curl_easy_getinfo(m->easy, CURLINFO_REDIRECT_URL, &to);
	if (!to || !http_is_url(to))
		return err_set(e, -EBADMSG, "the server redirects to nowhere");
	look_at_url(m, &token, &from_https, NULL);
	if (!text_copy(m->now, sizeof(m->now), to))
		return err_set(e, -EBADMSG, "the server redirects to an absurdly long URL");
	int rc = look_at_url(m, &token, &to_https, e);

	if (rc)
		return err_at(e, -EBADMSG, "the URL that the server redirects to");
	if (from_https && !to_https)
		return err_set(e, -EBADMSG,
			       "the server redirects from https to http: not followed");
	return 0;
}

/* Ask for n bytes from `at`, through redirects, until the verdict is about the file itself. */
static int request(struct remote *m, uint64_t at, uint64_t n, struct err *e)
{
	for (uint32_t hop = 0;; hop++) {
		m->asked_at = at;
		m->asked_n = n;
		int rc = start(m, e);

		if (rc)
			return rc;
		pump(m);
		if (m->answer.status == 0 || (m->result != CURLE_OK && m->verdict <= HTTP_WHOLE))
			return curl_failed(m, e);
		if (m->verdict == HTTP_BAD)
			return err_set(e, m->why.rc, "%s", m->why.text);
		if (m->verdict != HTTP_REDIRECT)
			return 0;
		rc = redirect(m, hop, e);
		if (rc)
			return rc;
	}
}

/* --- the reader --- */

static void learn(struct remote *m)
{
	uint64_t total = m->verdict == HTTP_WHOLE ? m->answer.length : m->answer.total;

	cached_free(&m->cached); /* it is of an older file */
	if (m->answer.etag[0])
		text_copy(m->etag, sizeof(m->etag), m->answer.etag);
	if (m->answer.sha256[0])
		text_copy(m->sha256, sizeof(m->sha256), m->answer.sha256);
	if (total == HTTP_UNKNOWN)
		return;
	m->total = total;
	m->r.size = total;
}

static uint64_t from_cache(const struct remote *m, uint64_t at, void *buf, uint64_t n)
{
	uint64_t left = at < m->cached.n ? m->cached.n - at : 0;

	if (n > left)
		n = left;
	if (n)
		memcpy(buf, m->cached.bytes + at, n);
	return n;
}

static void use_cache(struct remote *m)
{
	m->from_cache = true;
	m->total = m->r.size = m->cached.total;
	text_copy(m->etag, sizeof(m->etag), m->cached.etag);
	stop(m);
}

/* Go on with a transfer that was paused: the piece that went too far comes first. */
static int go_on(struct remote *m, uint64_t n, struct err *e)
{
	size_t first = m->n_spill < n ? m->n_spill : (size_t)n;

	memcpy(m->buf, m->spill, first);
	memmove(m->spill, m->spill + first, m->n_spill - first);
	m->n_spill -= first;
	m->got = first;
	if (m->got < n && m->paused) {
		m->paused = false;
		curl_easy_pause(m->easy, CURLPAUSE_CONT);
	}
	if (m->got < n && !m->done)
		pump(m);
	return m->done && m->result != CURLE_OK ? curl_failed(m, e) : 0;
}

static bool out_of_reach(int rc)
{
	return rc == -EHOSTUNREACH || rc == -ECONNREFUSED || rc == -ETIMEDOUT || rc == -EAGAIN;
}

static int ask(struct remote *m, uint64_t at, uint64_t n, struct err *e)
{
	int rc = request(m, at, n, e);

	if (rc && at == 0 && m->cached.bytes && out_of_reach(rc)) {
		text_copy(m->r.note, sizeof(m->r.note),
			  "the server cannot be reached: its header is the one fetched before");
		use_cache(m);
		return 0;
	}
	if (rc)
		return rc;
	if (m->verdict == HTTP_UNCHANGED) {
		if (at != 0 || !m->cached.bytes)
			return err_set(e, -EBADMSG,
				       "the server's answer makes no sense (HTTP 304)");
		use_cache(m);
		return 0;
	}
	learn(m);
	if (m->verdict == HTTP_END)
		m->r.size = m->total != HTTP_UNKNOWN ? m->total : at;
	else if (m->done && m->r.size == READER_SIZE_UNKNOWN && m->got < n)
		m->r.size = at + m->got;
	return 0;
}

static int read_remote(struct reader *r, uint64_t at, void *buf, uint64_t n, uint64_t *got,
		       struct err *e)
{
	struct remote *m = (struct remote *)r;
	int rc = 0;

	*got = 0;
	if (m->from_cache)
		*got = from_cache(m, at, buf, n);
	if (*got || n == 0)
		return 0;
	m->buf = buf;
	m->n = n;
	if (m->whole && at == m->body_at)
		rc = go_on(m, n, e);
	else
		rc = ask(m, at, n, e);
	if (rc)
		return rc;
	*got = m->from_cache ? from_cache(m, at, buf, n) : m->got;
	m->body_at = at + *got;
	if (m->whole && m->done && !m->n_spill && *got < n)
		r->size = m->body_at;
	if (!m->from_cache && m->verdict == HTTP_PART && *got < m->n)
		return err_set(e, -EBADMSG, "the server sent %" PRIu64 " bytes of %" PRIu64, *got,
			       m->n);
	return 0;
}

static void keep(struct reader *r, const void *bytes, uint64_t n)
{
	struct remote *m = (struct remote *)r;
	struct cached c = { .total = m->total, .bytes = (uint8_t *)bytes, .n = n };

	if (m->from_cache || !m->o.cache_dir || m->total == HTTP_UNKNOWN)
		return;
	text_copy(c.etag, sizeof(c.etag), m->etag);
	header_cache_write(&c, m->o.cache_dir, m->url);
}

static void close_remote(struct reader *r)
{
	struct remote *m = (struct remote *)r;

	stop(m);
	curl_easy_cleanup(m->easy);
	curl_multi_cleanup(m->multi);
	curl_slist_free_all(m->headers);
	cached_free(&m->cached);
	free(m);
}

static void set_options(struct remote *m)
{
	CURL *c = m->easy;

	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "berth/" BERTH_VERSION);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, m->curl_says);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)m->o.timeout_s);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)SPEED_LEAST);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)m->o.timeout_s);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, m);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, m);
}

int remote_open(struct reader **r, const char *url, const struct remote_opts *o, struct err *e)
{
	struct remote *m = calloc(1, sizeof(*m));

	*r = NULL;
	if (!m)
		return err_set(e, -ENOMEM, "no memory");
	m->r = (struct reader) { .read = read_remote,
				 .keep = keep,
				 .close = close_remote,
				 .size = READER_SIZE_UNKNOWN,
				 .in_steps = true };
	m->o = *o;
	m->total = HTTP_UNKNOWN;
	m->easy = curl_easy_init();
	m->multi = curl_multi_init();
	if (!m->easy || !m->multi || !text_copy(m->url, sizeof(m->url), url)) {
		close_remote(&m->r);
		return err_set(e, -ENAMETOOLONG, "the URL is too long");
	}
	text_copy(m->now, sizeof(m->now), url);
	set_options(m);
	if (o->cache_dir && !header_cache_read(&m->cached, o->cache_dir, url))
		cached_free(&m->cached);
	*r = &m->r;
	return 0;
}

void remote_facts(const struct reader *r, struct remote_facts *f)
{
	const struct remote *m = (const struct remote *)r;

	*f = (struct remote_facts) { .ranges = m->judged && m->verdict == HTTP_PART };
	text_copy(f->etag, sizeof(f->etag), m->etag);
	text_copy(f->sha256, sizeof(f->sha256), m->sha256);
}

void remote_expect(struct reader *r, const char *etag, uint64_t total)
{
	struct remote *m = (struct remote *)r;

	text_copy(m->etag, sizeof(m->etag), etag);
	m->total = total;
	m->r.size = total;
}

bool remote_broke(const struct reader *r, uint64_t *good)
{
	const struct remote *m = (const struct remote *)r;
	bool broke = m->result == CURLE_PARTIAL_FILE || m->result == CURLE_RECV_ERROR ||
		     m->result == CURLE_OPERATION_TIMEDOUT;

	broke = broke && m->judged && m->verdict == HTTP_PART;
	*good = broke ? m->got : 0;
	return broke;
}

#else

void remote_facts(const struct reader *r, struct remote_facts *f)
{
	(void)r;
	*f = (struct remote_facts) { 0 };
}

void remote_expect(struct reader *r, const char *etag, uint64_t total)
{
	(void)r;
	(void)etag;
	(void)total;
}

bool remote_broke(const struct reader *r, uint64_t *good)
{
	(void)r;
	*good = 0;
	return false;
}

int remote_open(struct reader **r, const char *url, const struct remote_opts *o, struct err *e)
{
	(void)url;
	(void)o;
	*r = NULL;
	return err_set(e, -ENOSYS,
		       "this berth was built without libcurl and reads no URL; fetch the file");
}

#endif

int remote_fetch(char **bytes, size_t *n, const char *url, size_t max, const struct remote_opts *o,
		 struct err *e)
{
	struct remote_opts plain = *o;
	own_reader struct reader *r = NULL;
	uint64_t got = 0;

	*bytes = NULL;
	plain.cache_dir = NULL; /* a listing changes */
	int rc = remote_open(&r, url, &plain, e);

	if (rc)
		return rc;
	char *text = malloc(max + 1);

	if (!text)
		return err_set(e, -ENOMEM, "no memory");
	rc = r->read(r, 0, text, max, &got, e);
	if (!rc && got == max)
		rc = err_set(e, -EFBIG, "the answer is larger than %zu bytes", max);
	if (rc) {
		free(text);
		return rc;
	}
	text[got] = '\0';
	*bytes = text;
	*n = got;
	return 0;
}
