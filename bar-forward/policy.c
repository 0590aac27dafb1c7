/* SPDX-License-Identifier: MIT */
#include "bar-forward/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/own.h"

#define LINE_SIZE 256

static const char *const act_names[POLICY_ACT_COUNT] = { "map", "trap", "log", "mask", "deny" };

const char *policy_act_name(enum policy_act act)
{
	return act_names[act];
}

/* --- one line --- */

static int parse_act(const char *word, enum policy_act *act, struct err *e)
{
	for (int i = 0; i < POLICY_ACT_COUNT; i++)
		if (strcmp(word, act_names[i]) == 0) {
			*act = (enum policy_act)i;
			return 0;
		}
	return err_set(e, -EBADMSG, "'%s' is no rule; map, trap, log, mask and deny are", word);
}

static int parse_range(char *word, struct rule *r, struct err *e)
{
	char *sign = word + strcspn(word, "-+");
	char kind = *sign;
	uint64_t second;

	if (strcmp(word, "all") == 0) {
		r->first = 0;
		r->last = UINT64_MAX;
		return 0;
	}
	if (!kind)
		return err_set(e, -EBADMSG, "'%s' is no range; give FIRST-LAST, FIRST+BYTES or all",
			       word);
	*sign = '\0';
	if (text_parse_u64(word, &r->first) || text_parse_u64(sign + 1, &second))
		return err_set(e, -EBADMSG, "'%s%c%s' are no two numbers", word, kind, sign + 1);
	r->last = second;
	if (kind == '+' && (second == 0 || __builtin_add_overflow(r->first, second - 1, &r->last)))
		return err_set(e, -EBADMSG, "'%s+%s' is no range", word, sign + 1);
	if (r->last < r->first || r->last == UINT64_MAX)
		return err_set(e, -EBADMSG, "a range from 0x%" PRIx64 " to 0x%" PRIx64, r->first,
			       r->last);
	return 0;
}

static int parse_value(const char *word, struct rule *r, struct err *e)
{
	r->value = UINT64_MAX;
	if (r->act == POLICY_MASK && !*word)
		return err_set(e, -EBADMSG, "a mask wants the bits that pass");
	if (!*word)
		return 0;
	if (r->act != POLICY_MASK && r->act != POLICY_DENY)
		return err_set(e, -EBADMSG, "'%s' takes no value, not '%s'", act_names[r->act],
			       word);
	if (text_parse_u64(word, &r->value))
		return err_set(e, -EBADMSG, "'%s' is no number", word);
	return r->act == POLICY_DENY && r->value > 0xff
		       ? err_set(e, -EBADMSG,
				 "a denied read gives one byte again and again, not %s", word)
		       : 0;
}

static int check_pages(const struct rule *r, struct err *e)
{
	if (r->act != POLICY_MAP || (r->first % POLICY_PAGE == 0 &&
				     (r->last == UINT64_MAX || (r->last + 1) % POLICY_PAGE == 0)))
		return 0;
	return err_set(e, -EBADMSG,
		       "only whole pages of %d bytes can be mapped, not 0x%" PRIx64
		       " to 0x%" PRIx64,
		       POLICY_PAGE, r->first, r->last);
}

/* The next word of a line, ended; "" at its end. */
static char *word(char **line)
{
	char *w = *line + strspn(*line, " ");
	size_t n = strcspn(w, " ");

	*line = w + n + (w[n] != '\0');
	w[n] = '\0';
	return w;
}

/* 1: a rule; 0: nothing to read; -EBADMSG. */
static int parse_line(char *line, struct rule *r, struct err *e)
{
	char *bar, *range, *act, *value;
	int rc;

	line[strcspn(line, "#")] = '\0';
	bar = word(&line);
	if (!*bar)
		return 0;
	range = word(&line);
	act = word(&line);
	value = word(&line);
	if (strncmp(bar, "bar", 3) != 0 || bar[3] < '0' || bar[3] >= '0' + POLICY_BARS || bar[4])
		return err_set(e, -EBADMSG, "'%s' is no BAR; bar0 to bar5 are", bar);
	r->bar = (uint8_t)(bar[3] - '0');
	if (*word(&line))
		return err_set(e, -EBADMSG, "there is something behind the rule");
	if ((rc = parse_range(range, r, e)) || (rc = parse_act(act, &r->act, e)) ||
	    (rc = parse_value(value, r, e)) || (rc = check_pages(r, e)))
		return rc;
	if (r->act == POLICY_DENY)
		r->value = (r->value & 0xff) * UINT64_C(0x0101010101010101);
	return 1;
}

/* --- the file --- */

static int by_place(const void *a, const void *b)
{
	const struct rule *x = a, *y = b;

	if (x->bar != y->bar)
		return x->bar < y->bar ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static int settle(struct policy *p, struct err *e)
{
	qsort(p->rules, p->n, sizeof(p->rules[0]), by_place);
	for (uint32_t i = 1; i < p->n; i++) {
		const struct rule *a = &p->rules[i - 1], *b = &p->rules[i];

		if (a->bar == b->bar && b->first <= a->last)
			return err_set(e, -EBADMSG,
				       "lines %" PRIu32 " and %" PRIu32
				       " overlap in bar%d at 0x%" PRIx64,
				       a->line < b->line ? a->line : b->line,
				       a->line < b->line ? b->line : a->line, a->bar, b->first);
	}
	for (uint32_t i = 0, bar = 0; bar <= POLICY_BARS; bar++) {
		while (i < p->n && p->rules[i].bar < bar)
			i++;
		p->begin[bar] = i;
	}
	return 0;
}

int policy_parse(struct policy *p, const char *text, struct err *e)
{
	char line[LINE_SIZE];
	int rc;

	*p = (struct policy) { 0 };
	for (uint32_t number = 1; *text; number++) {
		size_t n = strcspn(text, "\n");
		struct rule r = { .line = number };

		if (n >= sizeof(line))
			return err_set(e, -EBADMSG, "line %" PRIu32 ": longer than %d bytes",
				       number, LINE_SIZE - 1);
		memcpy(line, text, n);
		line[n] = '\0';
		for (char *c = line; *c; c++)
			if (*c == '\t' || *c == '\r')
				*c = ' ';
		text_clean(line);
		rc = parse_line(line, &r, e);
		if (rc < 0)
			return err_at(e, rc, "line %" PRIu32, number);
		if (rc && p->n == POLICY_RULES_MAX)
			return err_set(e, -EBADMSG, "line %" PRIu32 ": more than %d rules", number,
				       POLICY_RULES_MAX);
		if (rc)
			p->rules[p->n++] = r;
		text += n + (text[n] == '\n');
	}
	return settle(p, e);
}

int policy_open(const char *path, struct err *e)
{
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return err_set(e, -errno, "cannot read %s: %s", path, strerror(errno));
	if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))
		return err_set(e, -EBADMSG, "%s is a pipe, which cannot be read anew; give a file",
			       path);
	return take_fd(&fd);
}

int policy_take(struct policy *p, int fd, struct err *e)
{
	own_free char *text = malloc(POLICY_FILE_MAX + 1);
	long n = text ? io_read(fd, text, POLICY_FILE_MAX + 1) : -ENOMEM;

	if (n < 0)
		return err_set(e, (int)n, "cannot be read: %s", strerror((int)-n));
	if (n > POLICY_FILE_MAX)
		return err_set(e, -EBADMSG, "it has more than %d bytes", POLICY_FILE_MAX);
	if (memchr(text, '\0', (size_t)n))
		return err_set(e, -EBADMSG, "it is no text: there is a NUL in it");
	text[n] = '\0';
	return policy_parse(p, text, e);
}

void policy_text(const struct policy *p, struct text *t)
{
	for (uint32_t i = 0; i < p->n; i++) {
		const struct rule *r = &p->rules[i];

		if (r->first == 0 && r->last == UINT64_MAX)
			text_add(t, "bar%d all %s", r->bar, act_names[r->act]);
		else
			text_add(t, "bar%d 0x%" PRIx64 "-0x%" PRIx64 " %s", r->bar, r->first,
				 r->last, act_names[r->act]);
		if (r->act == POLICY_MASK)
			text_add(t, " 0x%" PRIx64, r->value);
		if (r->act == POLICY_DENY)
			text_add(t, " 0x%" PRIx64, r->value & 0xff);
		text_add(t, "\n");
	}
}

/* --- what it says --- */

const struct rule *policy_find(const struct policy *p, uint32_t bar, uint64_t offset,
			       uint64_t count)
{
	const struct rule *strictest = NULL;
	uint32_t low, high, end;

	if (bar >= POLICY_BARS || count == 0)
		return NULL;
	low = p->begin[bar];
	/* A worker's rules are where others write, too. */
	end = p->begin[bar + 1] < POLICY_RULES_MAX ? p->begin[bar + 1] : POLICY_RULES_MAX;
	high = end;
	while (low < high) { /* the first rule that ends at or behind the access's first byte */
		uint32_t middle = low + (high - low) / 2;

		if (p->rules[middle].last < offset)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < end && p->rules[low].first <= offset + (count - 1); low++)
		if (!strictest || p->rules[low].act > strictest->act)
			strictest = &p->rules[low];
	return strictest;
}

void policy_mask(const struct rule *r, uint64_t offset, uint8_t *bytes, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (offset + i >= r->first && offset + i <= r->last)
			bytes[i] &= (uint8_t)(r->value >> 8 * ((offset + i - r->first) % 8));
}

void policy_denied(const struct rule *r, uint8_t *bytes, uint64_t count)
{
	memset(bytes, (int)(r->value & 0xff), count);
}

bool policy_has(const struct policy *p, enum policy_act act)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (p->rules[i].act == act)
			return true;
	return false;
}

int policy_fits(const struct policy *p, const uint64_t sizes[POLICY_BARS], struct err *e)
{
	for (uint32_t i = 0; i < p->n; i++) {
		const struct rule *r = &p->rules[i];
		uint64_t size = sizes[r->bar];

		if (!size)
			return err_set(e, -EINVAL, "line %" PRIu32 ": this device has no bar%d",
				       r->line, r->bar);
		if (r->last != UINT64_MAX && r->last >= size)
			return err_set(e, -EINVAL, "line %" PRIu32 ": bar%d ends at 0x%" PRIx64,
				       r->line, r->bar, size - 1);
	}
	return 0;
}
