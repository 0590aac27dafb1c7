/* SPDX-License-Identifier: MIT */
/* Where a token may go, how names become URLs, and what answers are taken for. */
#include <string.h>

#include "tests/unit/harness.h"
#include "vram-planner/http.h"

#define HUB "https://huggingface.co"

static void a_token_goes_to_its_own_host_by_https(void **state)
{
	static const struct {
		const char *scheme, *host, *endpoint;
		bool may;
	} cases[] = {
		{ "https", "huggingface.co", HUB, true },
		{ "HTTPS", "HuggingFace.co", HUB, true },
		{ "https", "hub.example.org", "https://hub.example.org:8443/hf", true },
		{ "https", "huggingface.co", "https://hub.example.org", false },
		{ "http", "huggingface.co", HUB, false },
		{ "https", "huggingface.co", "http://huggingface.co", false },
		{ "https", "huggingface.co.evil.example", HUB, false },
		{ "https", "evil-huggingface.co", HUB, false },
		{ "https", "cdn-lfs.huggingface.co", HUB, false },
		{ "https", "huggingface", HUB, false },
		{ "https", "", HUB, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(
			http_may_send_token(cases[i].scheme, cases[i].host, cases[i].endpoint),
			cases[i].may);
}

static void names_become_urls(void **state)
{
	static const struct {
		const char *name, *url;
	} cases[] = {
		{ "hf:org/repo/x.gguf", HUB "/org/repo/resolve/main/x.gguf" },
		{ "hf:org/repo@v1.0/a/x.gguf", HUB "/org/repo/resolve/v1.0/a/x.gguf" },
		{ "hf:org/repo", NULL },
		{ "hf:org/repo/", NULL },
		{ "hf:org//x.gguf", NULL },
		{ "hf:/repo/x.gguf", NULL },
		{ "hf:org/repo@/x.gguf", NULL },
		{ "hf:org/repo/../x.gguf", NULL },
		{ "hf:org/repo/a//x.gguf", NULL },
		{ "hf:../repo/x.gguf", NULL },
		{ "hf:org/repo/x y.gguf", NULL },
		{ "hf:org/repo/x.gguf?a=b", NULL },
		{ "hf:org/repo/%2e%2e/x.gguf", NULL },
	};
	char url[HTTP_URL_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err e = { 0 };
		int rc = http_from_hf(cases[i].name, HUB, url, sizeof(url), &e);

		assert_int_equal(rc, cases[i].url ? 0 : -EINVAL);
		if (cases[i].url)
			assert_string_equal(url, cases[i].url);
	}
}

static const struct {
	const char *lines[4];
	uint64_t at, n;
	const char *etag;
	uint64_t total;
	enum http_verdict verdict;
	int rc;
} answers[] = {
	{ { "HTTP/1.1 206 P", "Content-Range: bytes 0-99/1000", "Content-Length: 100" },
	  0,
	  100,
	  "",
	  HTTP_UNKNOWN,
	  HTTP_PART,
	  0 },
	{ { "HTTP/1.1 206 P", "content-range:bytes 0-49/50" }, 0, 100, "", 50, HTTP_PART, 0 },
	{ { "HTTP/2 206", "content-range: bytes 100-199/*" }, 100, 100, "", 50, HTTP_PART, 0 },
	{ { "HTTP/1.1 206 P" }, 0, 100, "", HTTP_UNKNOWN, HTTP_BAD, -EBADMSG },
	{ { "HTTP/1.1 206 P", "Content-Range: bytes 0-100/1000" },
	  0,
	  100,
	  "",
	  HTTP_UNKNOWN,
	  HTTP_BAD,
	  -EBADMSG },
	{ { "HTTP/1.1 206 P", "Content-Range: bytes 0-99/1000", "Content-Length: 90" },
	  0,
	  100,
	  "",
	  HTTP_UNKNOWN,
	  HTTP_BAD,
	  -EBADMSG },
	{ { "HTTP/1.1 206 P", "Content-Range: bytes 0-99/99" },
	  0,
	  100,
	  "",
	  HTTP_UNKNOWN,
	  HTTP_BAD,
	  -EBADMSG },
	{ { "HTTP/1.1 206 P", "Content-Range: bytes 1000-1099/2000", "ETag: \"b\"" },
	  1000,
	  100,
	  "\"a\"",
	  2000,
	  HTTP_BAD,
	  -ESTALE },
	{ { "HTTP/1.1 206 P", "Content-Range: bytes 1000-1099/3000" },
	  1000,
	  100,
	  "\"a\"",
	  2000,
	  HTTP_BAD,
	  -ESTALE },
	{ { "HTTP/1.1 200 OK" }, 0, 100, "", HTTP_UNKNOWN, HTTP_WHOLE, 0 },
	{ { "HTTP/1.1 200 OK" }, 100, 100, "", HTTP_UNKNOWN, HTTP_BAD, -EBADMSG },
	{ { "HTTP/1.1 304 N" }, 0, 100, "", HTTP_UNKNOWN, HTTP_UNCHANGED, 0 },
	{ { "HTTP/1.1 307 T" }, 0, 100, "", HTTP_UNKNOWN, HTTP_REDIRECT, 0 },
	{ { "HTTP/1.1 305 U" }, 0, 100, "", HTTP_UNKNOWN, HTTP_BAD, -EBADMSG },
	{ { "HTTP/1.1 416 R", "Content-Range: bytes */50" }, 50, 9, "", 50, HTTP_END, 0 },
	{ { "HTTP/1.1 404 N" }, 0, 100, "", HTTP_UNKNOWN, HTTP_BAD, -ENOENT },
	{ { "HTTP/1.1 403 F" }, 0, 100, "", HTTP_UNKNOWN, HTTP_BAD, -EACCES },
	{ { "HTTP/1.1 429 T" }, 0, 100, "", HTTP_UNKNOWN, HTTP_BAD, -EAGAIN },
	{ { "HTTP/1.1 100 C", "", "HTTP/1.1 200 OK" }, 0, 9, "", HTTP_UNKNOWN, HTTP_WHOLE, 0 },
};

static void answers_are_taken_for_what_they_are(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(answers); i++) {
		struct http_answer a;
		struct err e = { 0 };

		http_begin(&a);
		for (size_t k = 0; k < 4 && answers[i].lines[k]; k++)
			http_line(&a, answers[i].lines[k], strlen(answers[i].lines[k]));
		if (http_judge(&a, answers[i].at, answers[i].n, answers[i].etag, answers[i].total,
			       &e) != answers[i].verdict ||
		    e.rc != answers[i].rc)
			fail_msg("case %zu: %d, '%s'", i, e.rc, e.text);
	}
}

static void a_tag_that_could_break_out_of_its_line_is_none(void **state)
{
	struct http_answer a;
	const char broken[] = "ETag: \"a\001b\"", sound[] = "ETag: W/\"a-b\"\r\n";

	(void)state;
	http_begin(&a);
	http_line(&a, broken, strlen(broken));
	assert_string_equal(a.etag, "");
	http_line(&a, sound, strlen(sound));
	assert_string_equal(a.etag, "W/\"a-b\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_goes_to_its_own_host_by_https),
		cmocka_unit_test(names_become_urls),
		cmocka_unit_test(answers_are_taken_for_what_they_are),
		cmocka_unit_test(a_tag_that_could_break_out_of_its_line_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
