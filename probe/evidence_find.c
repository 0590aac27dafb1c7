/* SPDX-License-Identifier: MIT */
/* Looking evidence up. Pure; an answer of a captured folder is hostile. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "probe/evidence.h"

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct ev_file *)a)->path, ((const struct ev_file *)b)->path);
}

const struct ev_file *ev_file(const struct evidence *ev, const char *path)
{
	char copy[PATH_SIZE];
	const struct ev_file key = { .path = copy };

	if (!ev->n_files || !text_copy(copy, sizeof(copy), path))
		return NULL;
	return bsearch(&key, ev->files, ev->n_files, sizeof(*ev->files), by_path);
}

const char *ev_value(const struct evidence *ev, const char *path)
{
	const struct ev_file *f = ev_file(ev, path);

	return f && !f->rc ? f->value : NULL;
}

const struct ev_file *ev_next(const struct evidence *ev, const char *pattern, uint32_t *i)
{
	while (*i < ev->n_files) {
		const struct ev_file *f = &ev->files[(*i)++];

		if (fnmatch(pattern, f->path, FNM_PATHNAME) == 0)
			return f;
	}
	return NULL;
}

const char *ev_function_value(const struct evidence *ev, const struct ev_function *f,
			      const char *name)
{
	char path[PATH_SIZE + 64];

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	return ev_value(ev, path);
}

const struct ev_function *ev_function(const struct evidence *ev, const char *pci)
{
	for (uint32_t i = 0; i < ev->n_functions; i++)
		if (pci[0] && strcmp(ev->functions[i].pci, pci) == 0)
			return &ev->functions[i];
	return NULL;
}

const struct ev_function *ev_above(const struct evidence *ev, const struct ev_function *f)
{
	return ev_function(ev, f->above);
}

const char *ev_cmdline(const struct evidence *ev, const char *word)
{
	const char *line = ev_value(ev, "proc/cmdline");
	size_t n = strlen(word);

	for (const char *at = line; at && (at = strstr(at, word)); at += n) {
		bool begins = at == line || at[-1] == ' ';

		if (begins && (word[n - 1] == '=' || at[n] == ' ' || at[n] == '\0'))
			return at + n;
	}
	return NULL;
}

/* A key may stand several times; "realloc=on" is the item "realloc=on". */
bool ev_cmdline_item(const struct evidence *ev, const char *key, const char *item)
{
	const char *line = ev_value(ev, "proc/cmdline");
	size_t n = strlen(key), m = strlen(item);

	for (const char *at = line; at && (at = strstr(at, key)); at += n) {
		if (at != line && at[-1] != ' ')
			continue;
		for (const char *v = at + n; *v && *v != ' '; v += *v == ',') {
			size_t len = strcspn(v, ", ");

			if (len >= m && strncmp(v, item, m) == 0 &&
			    (len == m || item[m - 1] == '='))
				return true;
			v += len;
		}
	}
	return false;
}

static const json_t *host(const struct evidence *ev, const char *key)
{
	return json_object_get(ev->host, key);
}

bool ev_asked(const struct evidence *ev)
{
	return ev->host;
}

const char *ev_text(const struct evidence *ev, const char *key)
{
	return json_string_value(host(ev, key));
}

const char *ev_environment(const struct evidence *ev, const char *name)
{
	return json_string_value(json_object_get(host(ev, "environment"), name));
}

int ev_listed(const struct evidence *ev, const char *list, const char *text)
{
	const json_t *a = host(ev, list);

	if (!json_is_array(a))
		return -1;
	for (size_t i = 0; i < json_array_size(a); i++) {
		const char *v = json_string_value(json_array_get(a, i));

		if (v && strcmp(v, text) == 0)
			return 1;
	}
	return 0;
}

const char *ev_text_any(const struct evidence *ev, const char *list)
{
	const json_t *a = host(ev, list);

	return json_string_value(json_array_get(a, 0));
}

bool ev_running(const struct evidence *ev, const char *program)
{
	return ev_listed(ev, "running", program) == 1;
}

static bool node_of(const json_t *o, struct ev_node *n)
{
	const char *owner = json_string_value(json_object_get(o, "owner"));
	const char *group = json_string_value(json_object_get(o, "group"));
	const char *mode = json_string_value(json_object_get(o, "mode"));

	if (!owner || !group || !mode)
		return false;
	*n = (struct ev_node) { .mode = (uint32_t)(strtoul(mode, NULL, 8) & 07777),
				.can = json_is_true(json_object_get(o, "can")) };
	text_copy(n->owner, sizeof(n->owner), owner);
	text_copy(n->group, sizeof(n->group), group);
	text_clean(n->owner);
	text_clean(n->group);
	return true;
}

bool ev_node(const struct evidence *ev, const char *path, struct ev_node *n)
{
	return node_of(json_object_get(host(ev, "nodes"), path), n);
}
