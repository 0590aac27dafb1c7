/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool wants_colour(void)
{
	const char *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

void log_init(struct log *l, const char *who, int quiet, int verbose)
{
	int level = quiet ? LOG_QUIET : verbose ? LOG_VERBOSE : LOG_NORMAL;

	*l = (struct log) { .who = who, .level = level, .colour = wants_colour() };
}

__attribute__((format(printf, 3, 0))) static void say(const struct log *l, const char *mark,
						      const char *fmt, va_list ap)
{
	char line[1024];

	/* One write a line: the engine's child shares this stderr. */
	vsnprintf(line, sizeof(line), fmt, ap);
	fprintf(stderr, "%s: %s%s\n", l->who, mark, line);
}

void log_note(const struct log *l, const char *fmt, ...)
{
	va_list ap;

	if (l->level < LOG_NORMAL)
		return;
	va_start(ap, fmt);
	say(l, "", fmt, ap);
	va_end(ap);
}

void log_warn(const struct log *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(l, l->colour ? "\033[33mwarning:\033[0m " : "warning: ", fmt, ap);
	va_end(ap);
}

void log_detail(const struct log *l, const char *fmt, ...)
{
	va_list ap;

	if (l->level < LOG_VERBOSE)
		return;
	va_start(ap, fmt);
	say(l, "", fmt, ap);
	va_end(ap);
}
