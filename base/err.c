/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void mark_cut(char *text, size_t size, int wanted)
{
	if (wanted >= 0 && (size_t)wanted >= size)
		memcpy(text + size - 4, "...", 4);
}

int err_set(struct err *e, int rc, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return rc;
	va_start(ap, fmt);
	int n = vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	mark_cut(e->text, sizeof(e->text), n);
	e->rc = rc;
	return rc;
}

int err_at(struct err *e, int rc, const char *fmt, ...)
{
	char place[sizeof(e->text) / 2];
	char cause[sizeof(e->text)];
	va_list ap;

	if (!e)
		return rc;
	va_start(ap, fmt);
	vsnprintf(place, sizeof(place), fmt, ap);
	va_end(ap);
	snprintf(cause, sizeof(cause), "%s", e->text[0] ? e->text : strerror(-rc));
	int n = snprintf(e->text, sizeof(e->text), "%s: %s", place, cause);
	mark_cut(e->text, sizeof(e->text), n);
	e->rc = rc;
	return rc;
}

static const struct {
	int rc;
	enum exit_code code;
} exits[] = {
	{ -ENOENT, EXIT_NO }, /* a named file or thing is absent */
	{ -ENODEV, EXIT_NO }, /* a named device is absent */
	{ -EINVAL, EXIT_BAD_INPUT },
	{ -EBADMSG, EXIT_BAD_INPUT },   /* bytes that do not parse */
	{ -EOVERFLOW, EXIT_BAD_INPUT }, /* numbers no honest file has */
	{ -EFBIG, EXIT_BAD_INPUT },
	{ -EISDIR, EXIT_BAD_INPUT },
	{ -ENOTDIR, EXIT_BAD_INPUT },
	{ -ELOOP, EXIT_BAD_INPUT },
	{ -ENODATA, EXIT_UNKNOWN }, /* a fact that nobody could tell */
	{ -EACCES, EXIT_ENV },
	{ -EPERM, EXIT_ENV },
	{ -ENOSYS, EXIT_ENV },
	{ -ENOMEM, EXIT_ENV },
	{ -ENOTRECOVERABLE, EXIT_ENGINE }, /* the engine failed us, whatever the errno it came as */
	{ -EXDEV, EXIT_PLACEMENT },        /* it is, or would be, on another device than planned */
	{ -EIO, EXIT_LOST },               /* what a vanished PCI function answers */
	{ -ENXIO, EXIT_LOST },
};

enum exit_code err_exit(int rc)
{
	if (rc >= 0)
		return EXIT_YES;
	for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++)
		if (exits[i].rc == rc)
			return exits[i].code;
	return EXIT_ENV;
}

enum exit_code err_report(const char *command, int rc, const struct err *e)
{
	const char *why = e && e->text[0] ? e->text : strerror(-rc);

	fflush(stdout);
	fprintf(stderr, "berth %s: %s\n", command, why);
	return err_exit(rc);
}
