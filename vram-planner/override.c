/* SPDX-License-Identifier: MIT */
/*
 * Tensors that are placed by name. The engine searches with ECMAScript's regular expressions; what people
 * write for it is nearly always an extended one, but for two habits, which are put into those words.
 */
#include <regex.h>
#include <string.h>

#include "vram-planner/placement.h"

#define NAME_MAX_BYTES 128 /* the engine refuses names of 64 bytes and more */

/* "\d" and "(?:" are not in extended expressions. false: the result is too long. */
static bool translate(const char *pattern, char *out, size_t size)
{
	size_t n = 0;

	while (*pattern) {
		const char *put = NULL;
		size_t taken = 1;

		if (strncmp(pattern, "\\d", 2) == 0) {
			put = "[0-9]";
			taken = 2;
		} else if (strncmp(pattern, "(?:", 3) == 0) {
			put = "(";
			taken = 3;
		} else if (pattern[0] == '\\' && pattern[1]) {
			taken = 2;
		}
		size_t len = put ? strlen(put) : taken;

		if (n + len + 1 > size)
			return false;
		memcpy(out + n, put ? put : pattern, len);
		n += len;
		pattern += taken;
	}
	out[n] = '\0';
	return true;
}

static void match(int8_t *forced, const struct shape *s, const regex_t *re, int home)
{
	uint32_t n = model_n_tensors(s->model);
	char name[NAME_MAX_BYTES];

	for (uint32_t i = 0; i < n; i++) {
		const struct tensor *t = model_tensor(s->model, i);

		if (forced[i] != HOME_NONE || t->name_len >= sizeof(name))
			continue;
		memcpy(name, t->name, t->name_len);
		name[t->name_len] = '\0';
		if (regexec(re, name, 0, NULL, 0) == 0)
			forced[i] = (int8_t)home;
	}
}

int overrides_resolve(int8_t *forced, const struct shape *s, const struct ask *a, struct err *e)
{
	memset(forced, HOME_NONE, model_n_tensors(s->model));
	for (uint32_t i = 0; i < a->n_overrides; i++) {
		const struct plan_tensors *o = &a->overrides[i];
		char pattern[6 * sizeof(o->pattern)], why[128];
		regex_t re;
		int rc;

		if (!translate(o->pattern, pattern, sizeof(pattern)))
			return err_set(e, -EINVAL, "the pattern '%s' is too long", o->pattern);
		rc = regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB);
		if (rc) {
			regerror(rc, NULL, why, sizeof(why));
			return err_set(e, -EINVAL, "'%s' is no regular expression: %s", o->pattern,
				       why);
		}
		match(forced, s, &re, o->device < 0 ? HOME_HOST : o->device);
		regfree(&re);
	}
	return 0;
}
