/* SPDX-License-Identifier: MIT */
#include "tui/prefs.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/own.h"
#include "base/text.h"

#define FILE_MAX  65536
#define LINE_SIZE 512

const char *const theme_names[] = { "safe", "dark", "light", "mono", NULL };
const char *const units_names[] = { "iec", "si", NULL };
const char *const degrees_names[] = { "celsius", "fahrenheit", NULL };
const char *const glyphs_names[] = { "auto", "ascii", "blocks", "braille", NULL };
const char *const sort_names[] = { "none", "name", "memory", "power", "speed", NULL };
static const char *const yes_no[] = { "no", "yes", NULL };

enum kind {
	KIND_ENUM,    /* int: index in choices */
	KIND_BOOL,    /* bool */
	KIND_NUMBER,  /* uint32_t from min to max */
	KIND_SECONDS, /* uint32_t milliseconds, written in seconds */
	KIND_PRICE,   /* double, not negative */
	KIND_WORD,    /* char[8] */
};

struct setting {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *const *choices;
	uint32_t min, max;
	const char *help;
};

#define AT(member) offsetof(struct prefs, member)

/* clang-format off */
static const struct setting settings[] = {
	{ "theme", KIND_ENUM, AT(theme), theme_names, 0, 0, "colours: safe (told apart by most eyes), dark, light, mono" },
	{ "glyphs", KIND_ENUM, AT(glyphs), glyphs_names, 0, 0, "what charts are made of: auto, ascii, blocks, braille" },
	{ "units", KIND_ENUM, AT(units), units_names, 0, 0, "of bytes: iec (GiB) or si (GB)" },
	{ "degrees", KIND_ENUM, AT(degrees), degrees_names, 0, 0, "celsius or fahrenheit" },
	{ "sort", KIND_ENUM, AT(sort), sort_names, 0, 0, "order of devices and runs: none, name, memory, power, speed" },
	{ "interval", KIND_SECONDS, AT(interval_ms), NULL, 100, 60000, "seconds between looks, 0.1 to 60" },
	{ "price-kwh", KIND_PRICE, AT(price_kwh), NULL, 0, 0, "what a kilowatt hour costs; 0: not known" },
	{ "currency", KIND_WORD, AT(currency), NULL, 0, 0, "of that price, at most 7 letters" },
	{ "alarm-temp", KIND_NUMBER, AT(alarm.temp_c), NULL, 0, 200, "degrees Celsius; 0: never, as for all alarms" },
	{ "alarm-memory", KIND_NUMBER, AT(alarm.memory_percent), NULL, 0, 100, "percent of a device's memory" },
	{ "alarm-context", KIND_NUMBER, AT(alarm.context_percent), NULL, 0, 100, "percent of a run's context" },
	{ "alarm-queue", KIND_NUMBER, AT(alarm.queue), NULL, 0, 1000000, "requests waiting" },
	{ "alarm-silent", KIND_NUMBER, AT(alarm.silent_s), NULL, 0, 3600, "seconds that a device does not answer" },
	{ "hide-devices", KIND_BOOL, AT(hidden[PANE_DEVICES]), yes_no, 0, 0, "leave out the list of devices" },
	{ "hide-runs", KIND_BOOL, AT(hidden[PANE_RUNS]), yes_no, 0, 0, "leave out the list of runs" },
	{ "hide-bridges", KIND_BOOL, AT(hidden[PANE_BRIDGES]), yes_no, 0, 0, "leave out the list of bridges" },
	{ "hide-processes", KIND_BOOL, AT(hidden[PANE_PROCESSES]), yes_no, 0, 0, "leave out processes that are no runs" },
	{ "hide-events", KIND_BOOL, AT(hidden[PANE_EVENTS]), yes_no, 0, 0, "leave out the list of events" },
	{ "rows-devices", KIND_NUMBER, AT(rows[PANE_DEVICES]), NULL, 0, PANE_ROWS_MAX, "rows for devices, the title included; 0: as many as fit" },
	{ "rows-runs", KIND_NUMBER, AT(rows[PANE_RUNS]), NULL, 0, PANE_ROWS_MAX, "rows for runs, the title included; 0: as many as fit" },
	{ "rows-bridges", KIND_NUMBER, AT(rows[PANE_BRIDGES]), NULL, 0, PANE_ROWS_MAX, "rows for bridges, the title included; 0: as many as fit" },
	{ "rows-processes", KIND_NUMBER, AT(rows[PANE_PROCESSES]), NULL, 0, PANE_ROWS_MAX, "rows for processes, the title included; 0: as many as fit" },
	{ "rows-events", KIND_NUMBER, AT(rows[PANE_EVENTS]), NULL, 0, PANE_ROWS_MAX, "rows for events, the title included; 0: as many as fit" },
	{ "no-mouse", KIND_BOOL, AT(no_mouse), yes_no, 0, 0, "leave the mouse to the terminal, which then selects text with it" },
};
/* clang-format on */

#define N_SETTINGS (sizeof(settings) / sizeof(settings[0]))

void prefs_default(struct prefs *c)
{
	*c = (struct prefs) { .interval_ms = 1000, .currency = "EUR", .alarm = thresholds_default };
}

/* --- one setting --- */

static void *member(struct prefs *c, const struct setting *s)
{
	return (char *)c + s->offset;
}

static int choose(const struct setting *s, const char *value, struct err *e)
{
	char all[128];
	struct text t;

	text_init(&t, all, sizeof(all));
	for (int i = 0; s->choices[i]; i++) {
		if (strcmp(s->choices[i], value) == 0)
			return i;
		text_add(&t, "%s%s", i ? ", " : "", s->choices[i]);
	}
	return err_set(e, -EINVAL, "%s is one of %s, not '%s'", s->name, all, value);
}

#define MILLI_MAX UINT64_C(1000000000000)

/*
 * Digits with at most one point, so that no locale and no exponent interferes; in thousandths, at most MILLI_MAX
 * of them however they are spelt: what is taken is written back with three digits behind the point.
 */
static int parse_milli(const char *s, uint64_t *milli)
{
	uint64_t v = 0, scale = 1000;
	bool point = false, digit = false;

	for (; *s; s++) {
		if (*s == '.' && !point) {
			point = true;
			continue;
		}
		if (*s < '0' || *s > '9')
			return -EINVAL;
		digit = true;
		if (point && scale == 1)
			continue; /* beyond thousandths */
		if (point)
			scale /= 10;
		v = v * 10 + (uint64_t)(*s - '0');
		if (v > MILLI_MAX / scale)
			return -ERANGE;
	}
	*milli = v * scale;
	return digit ? 0 : -EINVAL;
}

static int set_seconds(const struct setting *s, const char *value, uint32_t *to, struct err *e)
{
	uint64_t ms;

	if (parse_milli(value, &ms) || ms < s->min || ms > s->max)
		return err_set(e, -EINVAL, "%s wants 0.1 to 60 seconds, not '%s'", s->name, value);
	*to = (uint32_t)ms;
	return 0;
}

static int set_number(const struct setting *s, const char *value, uint32_t *to, struct err *e)
{
	uint64_t v;

	if (text_parse_u64(value, &v) || v < s->min || v > s->max)
		return err_set(e, -EINVAL,
			       "%s wants a number from %" PRIu32 " to %" PRIu32 ", not '%s'",
			       s->name, s->min, s->max, value);
	*to = (uint32_t)v;
	return 0;
}

static int set_price(const struct setting *s, const char *value, double *to, struct err *e)
{
	uint64_t milli;

	if (parse_milli(value, &milli))
		return err_set(e, -EINVAL, "%s wants a price such as 0.32, not '%s'", s->name,
			       value);
	*to = (double)milli / 1000;
	return 0;
}

static int set_word(const struct setting *s, const char *value, char *to, size_t size,
		    struct err *e)
{
	if (strlen(value) >= size)
		return err_set(e, -EINVAL, "%s has at most %zu letters, not '%s'", s->name,
			       size - 1, value);
	text_copy(to, size, value);
	text_clean(to);
	return 0;
}

int prefs_set(struct prefs *c, const char *name, const char *value, struct err *e)
{
	const struct setting *s = NULL;
	int n = 0;

	for (size_t i = 0; i < N_SETTINGS && !s; i++)
		if (strcmp(settings[i].name, name) == 0)
			s = &settings[i];
	if (!s)
		return err_set(e, -ENOENT, "there is no setting '%s'", name);
	switch (s->kind) {
	case KIND_ENUM:
	case KIND_BOOL:
		n = choose(s, value, e);
		if (n >= 0 && s->kind == KIND_ENUM)
			*(int *)member(c, s) = n;
		else if (n >= 0)
			*(bool *)member(c, s) = n == 1;
		return n < 0 ? n : 0;
	case KIND_NUMBER:
		return set_number(s, value, member(c, s), e);
	case KIND_SECONDS:
		return set_seconds(s, value, member(c, s), e);
	case KIND_PRICE:
		return set_price(s, value, member(c, s), e);
	case KIND_WORD:
		return set_word(s, value, member(c, s), sizeof(c->currency), e);
	}
	return 0;
}

/* --- the file --- */

static int parse_line(struct prefs *c, char *line, struct err *e)
{
	char *key = line + strspn(line, " \t");
	char *value = strchr(key, '=');

	text_trim(key);
	if (!*key || *key == '#' || *key == ';')
		return 0;
	if (!value)
		return err_set(e, -EINVAL, "'%.40s' is not written as setting = value", key);
	*value++ = '\0';
	text_trim(key);
	return prefs_set(c, key, value + strspn(value, " \t"), e);
}

int prefs_parse(struct prefs *c, const char *text, struct err *e)
{
	char line[LINE_SIZE];
	struct err first = { 0 };
	uint32_t number = 0;

	while (*text) {
		size_t n = strcspn(text, "\n");
		struct err bad = { 0 };

		number++;
		snprintf(line, sizeof(line), "%.*s", (int)(n < sizeof(line) ? n : sizeof(line) - 1),
			 text);
		text_clean(line);
		if (n >= sizeof(line))
			err_set(&bad, -EINVAL, "a line of %zu bytes; at most %zu", n,
				sizeof(line) - 1);
		else
			parse_line(c, line, &bad);
		if (bad.rc && !first.rc)
			err_set(&first, -EBADMSG, "line %" PRIu32 ": %s", number, bad.text);
		text += n + (text[n] == '\n');
	}
	return first.rc ? err_set(e, -EBADMSG, "%s", first.text) : 0;
}

static void add_value(struct text *t, const struct setting *s, const void *at)
{
	switch (s->kind) {
	case KIND_ENUM:
		text_add(t, "%s", s->choices[*(const int *)at]);
		break;
	case KIND_BOOL:
		text_add(t, "%s", s->choices[*(const bool *)at]);
		break;
	case KIND_NUMBER:
		text_add(t, "%" PRIu32, *(const uint32_t *)at);
		break;
	case KIND_SECONDS:
		text_add(t, "%" PRIu32 ".%03" PRIu32, *(const uint32_t *)at / 1000,
			 *(const uint32_t *)at % 1000);
		break;
	case KIND_PRICE:
		text_add(t, "%.3f", *(const double *)at);
		break;
	case KIND_WORD:
		text_add(t, "%s", (const char *)at);
		break;
	}
}

void prefs_text(const struct prefs *c, struct text *t)
{
	struct prefs usual;

	prefs_default(&usual);
	text_add(t, "# berth top. Lines that begin with '#' are as they are without this file.\n");
	for (size_t i = 0; i < N_SETTINGS; i++) {
		const struct setting *s = &settings[i];
		char mine[64], theirs[64];
		struct text a, b;

		text_init(&a, mine, sizeof(mine));
		text_init(&b, theirs, sizeof(theirs));
		add_value(&a, s, (const char *)c + s->offset);
		add_value(&b, s, (const char *)&usual + s->offset);
		text_add(t, "# %s\n%s%s = %s\n", s->help, strcmp(mine, theirs) ? "" : "#", s->name,
			 mine);
	}
}

/* Where it is: an absolute path; -ENOENT when neither XDG_CONFIG_HOME nor HOME is usable. */
static int find_path(char *buf, size_t size)
{
	const char *xdg = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	int n = -1;

	if (xdg && xdg[0] == '/')
		n = snprintf(buf, size, "%s/berth/top.conf", xdg);
	else if (home && home[0] == '/')
		n = snprintf(buf, size, "%s/.config/berth/top.conf", home);
	return n < 0 || (size_t)n >= size ? -ENOENT : 0;
}

int prefs_load(struct prefs *c, struct err *e)
{
	own_free char *text = malloc(FILE_MAX + 1);
	char path[PATH_MAX];
	long n;

	if (!text)
		return err_set(e, -ENOMEM, "out of memory");
	if (find_path(path, sizeof(path)))
		return 0;
	/* Something else than a file in its place shall not hang us. */
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : err_set(e, -errno, "cannot read %s: %s", path, strerror(errno));
	n = io_read(fd, text, FILE_MAX);
	if (n < 0)
		return err_set(e, (int)n, "cannot read %s: %s", path, strerror((int)-n));
	text[n] = '\0';
	if (n == FILE_MAX || strlen(text) < (size_t)n)
		return err_set(e, -EBADMSG, "%s is no file of settings", path);
	return prefs_parse(c, text, e) ? err_at(e, -EBADMSG, "%s", path) : 0;
}

static void make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
}

int prefs_save(const struct prefs *c, struct err *e)
{
	char text[8192], path[PATH_MAX], fresh[PATH_MAX + 16];
	struct text t;
	int rc;

	if (find_path(path, sizeof(path)))
		return err_set(e, -ENOENT, "neither XDG_CONFIG_HOME nor HOME says where");
	text_init(&t, text, sizeof(text));
	prefs_text(c, &t);
	make_folders(path);
	/* Who keeps his settings elsewhere and a link here keeps the link. */
	own_free char *real = realpath(path, NULL);

	if (real)
		text_copy(path, sizeof(path), real);
	snprintf(fresh, sizeof(fresh), "%s.%d", path, (int)getpid());
	own_fd int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_set(e, -errno, "cannot write %s: %s", path, strerror(errno));
	rc = io_write(fd, text, t.len);
	if (!rc && rename(fresh, path) < 0)
		rc = -errno;
	if (rc) {
		unlink(fresh);
		return err_set(e, rc, "cannot write %s: %s", path, strerror(-rc));
	}
	return 0;
}
