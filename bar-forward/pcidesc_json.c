/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "bar-forward/pcidesc_priv.h"
#include "base/text.h"

int desc_only(const json_t *o, const char *const *members, struct err *e)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)o, key, v)
	{
		uint32_t i = 0;

		while (members[i] && strcmp(members[i], key) != 0)
			i++;
		if (!members[i])
			return err_set(e, -EBADMSG, "'%.40s' means nothing here", key);
	}
	return 0;
}

int desc_value(const json_t *v, uint64_t *n)
{
	const char *text = json_string_value(v);

	if (json_is_integer(v)) {
		*n = (uint64_t)json_integer_value(v);
		return json_integer_value(v) < 0 ? -EINVAL : 0;
	}
	if (!text)
		return -EINVAL;
	return text_parse_u64(text, n) ? text_parse_size(text, n) : 0;
}

int desc_number(const json_t *o, const char *key, uint64_t or, uint64_t most, uint64_t *v,
		struct err *e)
{
	const json_t *j = json_object_get(o, key);

	*v = or ;
	if (!j)
		return 0;
	if (desc_value(j, v))
		return err_set(e, -EBADMSG, "'%s' is no number; 17, \"0x11\" and \"256M\" are",
			       key);
	if (*v > most)
		return err_set(e, -EBADMSG, "'%s' is 0x%" PRIx64 ", above 0x%" PRIx64, key, *v,
			       most);
	return 0;
}

int desc_needs(const json_t *o, const char *key, uint64_t most, uint64_t *v, struct err *e)
{
	if (!json_object_get(o, key))
		return err_set(e, -EBADMSG, "there is no '%s'", key);
	return desc_number(o, key, 0, most, v, e);
}

int desc_bool(const json_t *o, const char *key, bool *v, struct err *e)
{
	const json_t *j = json_object_get(o, key);

	*v = j && json_is_true(j);
	return j && !json_is_boolean(j)
		       ? err_set(e, -EBADMSG, "'%s' is neither true nor false", key)
		       : 0;
}

int desc_word(const json_t *o, const char *key, const char *const *names, uint32_t n, uint32_t *v,
	      struct err *e)
{
	const json_t *j = json_object_get(o, key);
	char all[256], word[40];
	struct text t;

	*v = 0;
	if (!j)
		return 0;
	json_get_text(o, key, word, sizeof(word));
	for (; *v < n; ++*v)
		if (names[*v] && strcmp(names[*v], word) == 0)
			return 0;
	text_init(&t, all, sizeof(all));
	for (uint32_t i = 0; i < n; i++)
		text_add(&t, "%s%s", i ? ", " : "", names[i] ? names[i] : "");
	return err_set(e, -EBADMSG, "%s '%s' is none of: %s", key, word, all);
}

static int nibble(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *p = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c) : NULL;

	return p ? (int)(p - digits) : -1;
}

int desc_hex(const json_t *o, const char *key, uint8_t *to, uint16_t room, uint16_t *n,
	     struct err *e)
{
	const json_t *j = json_object_get(o, key);
	const char *s = json_string_value(j);

	*n = 0;
	if (!j)
		return 0;
	for (; s && *s; s += *s == ' ' ? 1 : 2) {
		if (*s == ' ')
			continue;
		if (nibble(s[0]) < 0 || nibble(s[1]) < 0)
			s = NULL;
		if (!s)
			break;
		if (*n == room)
			return err_set(e, -EBADMSG, "'%s' has more than %d bytes", key, room);
		to[(*n)++] = (uint8_t)(nibble(s[0]) << 4 | nibble(s[1]));
	}
	return s ? 0 : err_set(e, -EBADMSG, "'%s' is no bytes in hex, as \"01 02 0a\"", key);
}

int desc_array(const json_t *o, const char *key, uint32_t most, const json_t **a, uint32_t *n,
	       struct err *e)
{
	*a = json_object_get(o, key);
	*n = (uint32_t)json_array_size(*a);
	if (*a && !json_is_array(*a))
		return err_set(e, -EBADMSG, "'%s' is no list", key);
	if (json_array_size(*a) > most)
		return err_set(e, -EBADMSG, "'%s' has %zu elements; at most %u", key,
			       json_array_size(*a), most);
	for (uint32_t i = 0; i < *n; i++)
		if (!json_is_object(json_array_get(*a, i)))
			return err_set(e, -EBADMSG, "element %u of '%s' is no object", i + 1, key);
	return 0;
}
