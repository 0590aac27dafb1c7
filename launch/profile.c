/* SPDX-License-Identifier: MIT */
#include "launch/profile.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/own.h"
#include "base/text.h"

#define KEYS_MAX 128

bool profile_is_name(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > PROFILE_NAME_MAX || !isalnum((unsigned char)name[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
			return false;
	return true;
}

static void place(char to[PATH_MAX], const char *base, const char *below, const char *name)
{
	int n = base && base[0] == '/'
			? snprintf(to, PATH_MAX, "%s%s/berth/profiles.d/%s" PROFILE_ENDING, base,
				   below, name)
			: -1;

	if (n < 0 || n >= PATH_MAX)
		to[0] = '\0';
}

void profile_places(char places[PROFILE_PLACES][PATH_MAX], const char *name, const char *xdg,
		    const char *home)
{
	bool has_xdg = xdg && xdg[0] == '/';

	place(places[0], has_xdg ? xdg : home, has_xdg ? "" : "/.config", name);
	place(places[1], "/etc", "", name);
}

/* --- one file --- */

struct reading {
	const struct cmd *c;
	const char *const *barred;
	void *into;
	const char **model;
	const char *home; /* NULL: unknown */
	char *expanded;   /* values that began with ~/ */
	size_t n_expanded, size;
	uint32_t n_keys;
	const char *keys[KEYS_MAX];
};

/* Lists may be given again and again, on a command line as well. */
static bool may_repeat(const struct cmd *c, const char *key)
{
	for (size_t i = 0; i < c->n_opts; i++)
		if (strcmp(c->opts[i].name, key) == 0)
			return c->opts[i].kind == OPT_LIST;
	return false;
}

static int check_key(struct reading *r, const char *key, struct err *e)
{
	for (const char *const *b = r->barred; *b; b++)
		if (strcmp(*b, key) == 0)
			return err_set(e, -EBADMSG, "'%s' has no place in a profile", key);
	for (uint32_t i = 0; i < r->n_keys; i++)
		if (strcmp(r->keys[i], key) == 0 && !may_repeat(r->c, key))
			return err_set(e, -EBADMSG, "'%s' is given twice", key);
	if (r->n_keys == KEYS_MAX)
		return err_set(e, -EBADMSG, "more than %d lines of options", KEYS_MAX);
	r->keys[r->n_keys++] = key;
	return 0;
}

static char *skip_space(char *s)
{
	return s + strspn(s, " \t");
}

/* A value in double quotes keeps its spaces; quotes inside are as they are. */
static char *unquoted(char *value)
{
	size_t n = strlen(value);

	if (n < 2 || value[0] != '"' || value[n - 1] != '"')
		return value;
	value[n - 1] = '\0';
	return value + 1;
}

/* "~/x" as a shell reads it. */
static int from_home(struct reading *r, const char *key, char **value, struct err *e)
{
	char *to = r->expanded + r->n_expanded;
	size_t n;

	if (strncmp(*value, "~/", 2) != 0)
		return 0;
	if (!r->home || r->home[0] != '/')
		return err_set(e, -EBADMSG, "%s: HOME is not set", key);
	n = strlen(r->home) + strlen(*value);
	if (n > r->size - r->n_expanded)
		return err_set(e, -EBADMSG, "%s: too long", key);
	snprintf(to, n, "%s%s", r->home, *value + 1);
	r->n_expanded += n;
	*value = to;
	return 0;
}

static int take(struct reading *r, char *key, char *value, struct err *e)
{
	int rc = check_key(r, key, e);

	if (rc)
		return rc;
	value = unquoted(value);
	if (!value[0])
		return err_set(e, -EBADMSG, "'%s' has no value", key);
	rc = from_home(r, key, &value, e);
	if (rc)
		return rc;
	if (strcmp(key, PROFILE_MODEL) == 0) {
		*r->model = value;
		return 0;
	}
	return cmd_assign(r->c, key, value, r->into, e) ? -EBADMSG : 0;
}

static int line(struct reading *r, char *s, struct err *e)
{
	s = skip_space(text_trim(s));
	if (!*s || *s == '#' || *s == ';')
		return 0;
	if (*s == '[')
		return err_set(e, -EBADMSG, "a profile has no sections; write option = value");
	char *eq = strchr(s, '=');

	if (!eq || eq == s)
		return err_set(e, -EBADMSG, "'%.60s' is not of the form option = value", s);
	*eq = '\0';
	return take(r, text_trim(s), skip_space(eq + 1), e);
}

/* Terminals will see its words, and C reads it: no control characters but these, and sound UTF-8. */
static bool is_text(const char *s, size_t n)
{
	if (memchr(s, '\0', n))
		return false;
	own_free char *copy = strndup(s, n);

	if (!copy)
		return false;
	for (char *p = copy; *p; p++)
		if (strchr("\n\r\t", *p))
			*p = ' ';
	own_free char *clean = strdup(copy);

	return clean && strcmp(text_clean(clean), copy) == 0;
}

int profile_parse(struct profile *p, size_t n, const char *home, const struct cmd *c,
		  const char *const *barred, void *into, struct err *e)
{
	struct reading r = { .c = c, .barred = barred, .into = into, .model = &p->model };
	char *next = p->text;

	p->model = NULL;
	p->home = NULL;
	if (!is_text(p->text, n))
		return err_set(e, -EBADMSG, "it is not text in UTF-8");
	/* room for all values there can be, each with a home before it */
	r.home = home && strlen(home) < PATH_MAX ? home : NULL;
	r.size = n + KEYS_MAX * (r.home ? strlen(r.home) + 1 : 1);
	r.expanded = p->home = malloc(r.size);
	if (!p->home)
		return err_set(e, -ENOMEM, "no memory");
	for (uint32_t no = 1; next; no++) {
		char *s = next, *end = strchr(s, '\n');

		next = end ? end + 1 : NULL;
		if (end)
			*end = '\0';
		if (line(&r, s, e))
			return err_at(e, -EBADMSG, "line %u", no);
	}
	return 0;
}

/* --- finding it --- */

static int load(struct profile *p, size_t *n, struct err *e)
{
	own_fd int fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return err_set(e, -errno, "%s: %s", p->path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, -EBADMSG, "%s is no file", p->path);
	p->text = malloc(PROFILE_SIZE_MAX + 2);
	if (!p->text)
		return err_set(e, -ENOMEM, "no memory");
	long got = io_read(fd, p->text, PROFILE_SIZE_MAX + 1);

	if (got < 0)
		return err_set(e, (int)got, "%s: %s", p->path, strerror((int)-got));
	if (got > PROFILE_SIZE_MAX)
		return err_set(e, -EBADMSG, "%s is larger than %d KiB: no profile", p->path,
			       PROFILE_SIZE_MAX >> 10);
	p->text[got] = '\0';
	*n = (size_t)got;
	return 0;
}

int profile_read(struct profile *p, const char *name, const struct cmd *c,
		 const char *const *barred, void *into, struct err *e)
{
	char places[PROFILE_PLACES][PATH_MAX];
	size_t n = 0;
	int rc = -ENOENT;

	*p = (struct profile) { 0 };
	profile_places(places, name, getenv("XDG_CONFIG_HOME"), getenv("HOME"));
	for (int i = 0; i < PROFILE_PLACES && rc == -ENOENT; i++) {
		text_copy(p->path, sizeof(p->path), places[i]);
		rc = places[i][0] ? load(p, &n, e) : -ENOENT;
	}
	if (rc == -ENOENT)
		return err_set(e, rc, "there is no profile '%s': neither %s nor %s exists", name,
			       places[0], places[1]);
	if (rc == 0)
		rc = profile_parse(p, n, getenv("HOME"), c, barred, into, e);
	return rc == -EBADMSG && p->text ? err_at(e, rc, "%s", p->path) : rc;
}

void profile_free(struct profile *p)
{
	free(p->text);
	free(p->home);
	*p = (struct profile) { 0 };
}
