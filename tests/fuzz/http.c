/* SPDX-License-Identifier: MIT */
/* A server's header lines, and what they are taken for: a part is only ever the part that was asked for. */
#include <stdlib.h>
#include <string.h>

#include "vram-planner/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define AT   4096
#define WANT 1000

static void read_lines(struct http_answer *a, const char *s, size_t size)
{
	http_begin(a);
	while (size) {
		const char *end = memchr(s, '\n', size);
		size_t n = end ? (size_t)(end - s) + 1 : size;

		http_line(a, s, n);
		s += n;
		size -= n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct http_answer a;
	struct err e = { 0 };
	char url[HTTP_URL_MAX], name[512] = "hf:";

	read_lines(&a, (const char *)bytes, size);
	if (a.sha256[0] && strspn(a.sha256, "0123456789abcdef") != 64)
		abort();
	for (int first = 0; first < 2; first++) {
		uint64_t at = first ? 0 : AT;
		enum http_verdict v = http_judge(&a, at, WANT, first ? "" : "\"tag\"",
						 first ? HTTP_UNKNOWN : 9000, &e);

		if (v == HTTP_PART && (a.from != at || a.to < a.from || a.to - a.from >= WANT))
			abort();
		if (v == HTTP_BAD && (!e.rc || !e.text[0]))
			abort();
		if (v == HTTP_WHOLE && at)
			abort();
	}
	if (strlen(a.etag) >= sizeof(a.etag) || strpbrk(a.etag, "\r\n "))
		abort();
	/* The same bytes as a name: what becomes of it stays below the endpoint. */
	if (size > sizeof(name) - 4)
		size = sizeof(name) - 4;
	memcpy(name + 3, bytes, size);
	name[3 + size] = '\0';
	if (http_from_hf(name, "https://x", url, sizeof(url), &e) == 0 &&
	    (strncmp(url, "https://x/", 10) != 0 || strstr(url, "/../") || strpbrk(url, " \r\n?#")))
		abort();
	return 0;
}
