/* SPDX-License-Identifier: MIT */
/* A recording is anybody's file: whatever its lines say must be safe to show, to print, to write again and to wind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/io.h"
#include "base/own.h"
#include "tui/film.h"
#include "tui/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int to_nowhere(void *ctx, const char *line, size_t size)
{
	(void)ctx;
	if (!size || line[size - 1] != '\n')
		abort();
	return 0;
}

static void show(struct player *p, struct recorder *again, struct snapshot *s)
{
	struct view v;

	player_snapshot(p, s);
	view_init(&v, 80, true);
	view_make(&v, &(struct frame) { .snap = s });
	view_fini(&v);
	json_decref(frame_to_json(&(struct frame) { .snap = s }));
	if (recorder_moment(again, s, to_nowhere, NULL))
		abort();
}

/* From its beginning to its end, and back. */
static void wind(struct film *f, struct snapshot *s)
{
	const uint64_t first = film_first_ms(f), last = film_last_ms(f);

	if (first > last)
		abort();
	for (uint64_t i = 0; i <= 8; i++) {
		film_show(f, first + (last - first) / 8 * i, s);
		film_show(f, last - (last - first) / 8 * i, s);
	}
}

static void play_film(const uint8_t *bytes, size_t size, struct snapshot *s)
{
	own_fd int fd = memfd_create("film", MFD_CLOEXEC);
	struct film *f;
	char path[64];

	if (fd < 0 || io_write(fd, bytes, size))
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (film_open(&f, path, NULL))
		return;
	wind(f, s);
	film_close(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *line = (const char *)bytes, *end = line + size;
	struct recorder *again = recorder_new();
	struct player *p = player_new();
	struct snapshot *s = calloc(1, sizeof(*s));

	while (line < end) {
		const char *next = memchr(line, '\n', (size_t)(end - line));
		size_t n = (size_t)((next ? next : end) - line);
		uint64_t ms = 0;

		recording_peek(line, n, &ms);
		player_line(p, line, n, NULL);
		line += n + 1;
	}
	show(p, again, s);
	show(p, again, s);
	recorder_free(again);
	player_free(p);
	play_film(bytes, size, s);
	free(s);
	return 0;
}
