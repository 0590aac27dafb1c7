/* SPDX-License-Identifier: MIT */
#include "probe/kmsg.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "probe/claims.h"
#include "probe/probe_priv.h"

#define LINE_BYTES 1024

/* Where a line's text begins, and when it was said. */
struct start {
	const char *text;
	uint64_t usec;
	bool timed;
	bool clock; /* the time of a day: after midnight it begins again */
};

/* Later than this after boot (300 years) is no time. */
#define SECONDS_MAX UINT64_C(10000000000)

static bool digits(const char **s, uint64_t *v, int most)
{
	const char *begin = *s;

	*v = 0;
	while (isdigit((unsigned char)**s) && *s - begin < most)
		*v = *v * 10 + (uint64_t)(*(*s)++ - '0');
	return *s > begin;
}

/* "6,1234,5678901,-;text" of /dev/kmsg: level, number, microseconds, flags. */
static bool record_start(const char *s, struct start *at)
{
	uint64_t level, number, usec;

	if (!digits(&s, &level, 10) || *s++ != ',' || !digits(&s, &number, 18) || *s++ != ',' ||
	    !digits(&s, &usec, 18) || *s++ != ',')
		return false;
	s += strcspn(s, ";");
	if (*s != ';' || usec / 1000000 > SECONDS_MAX)
		return false;
	*at = (struct start) { .text = s + 1, .usec = usec, .timed = true };
	return true;
}

/* "[   12.345678] ", with "[    T1] " after it where callers are shown. */
static bool bracket_start(const char *s, struct start *at)
{
	uint64_t seconds, fraction;

	if (*s++ != '[')
		return false;
	s += strspn(s, " ");
	if (!digits(&s, &seconds, 12) || *s++ != '.' || seconds > SECONDS_MAX)
		return false;
	const char *point = s;

	if (!digits(&s, &fraction, 6) || *s++ != ']')
		return false;
	for (long n = s - 1 - point; n < 6; n++)
		fraction *= 10;
	if (*s == '[') {
		s += strcspn(s, "]");
		s += *s == ']';
	}
	s += *s == ' ';
	*at = (struct start) { .text = s, .usec = seconds * 1000000 + fraction, .timed = true };
	return true;
}

/* "12:34:56" somewhere in the first words, as the journal writes. */
static bool clock_time(const char *s, size_t n, uint64_t *usec)
{
	for (size_t i = 0; i + 8 <= n; i++) {
		const char *at = s + i;
		uint64_t h, m, sec;

		if (digits(&at, &h, 2) && *at++ == ':' && digits(&at, &m, 2) && *at++ == ':' &&
		    digits(&at, &sec, 2) && h < 24 && m < 60 && sec < 61) {
			*usec = ((h * 60 + m) * 60 + sec) * 1000000;
			return true;
		}
	}
	return false;
}

/* "Sep 01 12:34:56 host kernel: text"; of other programs the name is kept: "boltd[7]: text". */
static bool journal_start(const char *s, struct start *at)
{
	const char *colon = strstr(s, ": ");
	uint64_t usec;

	if (!colon || colon - s > 160 || !clock_time(s, (size_t)(colon - s), &usec))
		return false;
	const char *word = colon;

	while (word > s && word[-1] != ' ')
		word--;
	*at = (struct start) { .text = word, .usec = usec, .timed = true, .clock = true };
	return true;
}

/* "host kernel: text" of journalctl -o short-monotonic, and "kernel: text". */
static const char *skip_kernel(const char *s)
{
	static const char word[] = "kernel: ";

	for (;;) {
		const char *at = strstr(s, word);

		if (at == s)
			s += strlen(word);
		else if (at && at[-1] == ' ' && !memchr(s, ' ', (size_t)(at - 1 - s)))
			s = at + strlen(word);
		else
			return s;
	}
}

/* "<6>" of raw logs, and "kern  :info  : " of `dmesg -x`. */
static const char *skip_level(const char *s)
{
	if (*s == '<' && isdigit((unsigned char)s[1])) {
		const char *end = strchr(s, '>');

		return end && end - s < 6 ? end + 1 : s;
	}
	const char *bracket = strstr(s, ": [");

	if (bracket && bracket - s < 24 && islower((unsigned char)*s))
		return bracket + 2;
	return s;
}

static struct start line_start(const char *s)
{
	struct start at = { .text = s };

	s = skip_level(s);
	if (!record_start(s, &at) && !bracket_start(s, &at) && !journal_start(s, &at))
		return at;
	at.text = skip_kernel(at.text);
	return at;
}

/* --- scrubbing --- */

/* How many characters of the shape at s: 'x' is a hex digit, all else itself. 0: it does not match. */
static size_t shaped(const char *s, const char *shape)
{
	size_t i = 0;

	for (; shape[i]; i++)
		if (shape[i] == 'x' ? !isxdigit((unsigned char)s[i]) : s[i] != shape[i])
			return 0;
	return isxdigit((unsigned char)s[i]) ? 0 : i;
}

/* What identifies; the length is kept, as nothing depends on it and it is the simplest. */
static const char *const shapes[] = {
	"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", /* UUID */
	"xx:xx:xx:xx:xx:xx:xx:xx",              /* EUI-64 */
	"xx:xx:xx:xx:xx:xx",                    /* MAC address */
	"xx-xx-xx-xx-xx-xx-xx-xx",              /* PCIe device serial number */
};

static void scrub_shapes(char *text)
{
	for (char *s = text; *s; s++) {
		size_t n = 0;

		if (s > text && isxdigit((unsigned char)s[-1]))
			continue;
		for (size_t i = 0; !n && i < ARRAY_LEN(shapes); i++)
			n = shaped(s, shapes[i]);
		for (size_t i = 0; i < n; i++)
			if (isxdigit((unsigned char)s[i]))
				s[i] = '0';
		s += n ? n - 1 : 0;
	}
}

/*
 * Where drivers name the process whose work failed: what stands before and after the name. NVIDIA's Xid
 * (open kernel modules, nv-report-err.c); amdgpu_vm.c and amdgpu_job.c; i915_gpu_error.c.
 */
static const struct {
	const char *line, *before, *after;
} naming[] = {
	{ "Xid (", "name=", "," },
	{ "", "rocess ", " pid " },
	{ "", " thread ", " pid " },
	{ "GPU HANG", ", in ", " [" },
};

/* True: that was something else before. */
static bool blank(char *s, const char *end)
{
	bool changed = false;

	for (; s < end; s++) {
		changed |= *s != '@' && *s != 'x';
		*s = *s == '@' ? '@' : 'x';
	}
	return changed;
}

/* Names of programs, as in a capture's list of processes: those that everybody runs stay. */
static bool scrub_programs(char *text)
{
	bool changed = false;

	for (size_t i = 0; i < ARRAY_LEN(naming); i++) {
		size_t n = strlen(naming[i].before);
		char *at = strstr(text, naming[i].line) ? strstr(text, naming[i].before) : NULL;
		char *end = at ? strstr(at + n, naming[i].after) : NULL;
		char word[32];

		/* "Process information: process Xorg pid": the last one before. */
		for (char *next = at; end && next && next + n <= end;
		     next = strstr(next + 1, naming[i].before))
			at = next;
		char *name = at ? at + n : NULL;

		if (!end || name > end || *name == '<')
			continue;
		snprintf(word, sizeof(word), "%.*s", (int)(end - name < 31 ? end - name : 31),
			 name);
		if (!process_is_public(word))
			changed |= blank(name, end);
	}
	return changed;
}

/* "(root@alices-laptop)": who built a module, and where. */
static bool scrub_builder(char *text)
{
	bool changed = false;

	for (char *at = text; (at = strchr(at, '@')); at++) {
		char *start = at, *end = at;

		while (start > text &&
		       (isalnum((unsigned char)start[-1]) || strchr("._-", start[-1])))
			start--;
		end += strcspn(end, " )");
		if (start > text && start[-1] == '(' && *end == ')')
			changed |= blank(start, end);
	}
	return changed;
}

void kmsg_scrub(char *text)
{
	scrub_shapes(text);
	/* What was scrubbed may have hidden another name; a capture is scrubbed again when it is read. */
	for (bool again = true; again;) {
		again = scrub_programs(text);
		again |= scrub_builder(text);
	}
}

/* --- the log --- */

struct builder {
	struct kmsg *k;
	char *at, *end;
	uint64_t day, last;
	bool (*wanted)(const char *text);
};

static void begin_boot(struct builder *b)
{
	b->k->n = b->k->n_left_out = 0;
	b->at = b->k->text;
	b->day = b->last = 0;
}

/* A clock that goes back by half a day and more has passed midnight. */
static uint64_t mended(struct builder *b, const struct start *at)
{
	const uint64_t day = UINT64_C(86400) * 1000000;

	if (!at->clock)
		return at->usec;
	if (at->usec + b->day + day / 2 < b->last)
		b->day += day;
	b->last = at->usec + b->day;
	return b->last;
}

static void add_line(struct builder *b, const char *line, size_t n)
{
	char buf[LINE_BYTES];

	snprintf(buf, sizeof(buf), "%.*s", (int)(n < sizeof(buf) ? n : sizeof(buf) - 1), line);
	text_clean(text_trim(buf));
	kmsg_scrub(buf);
	if (!buf[0] || buf[0] == ' ')
		return; /* " SUBSYSTEM=pci": the dictionary of a record */
	struct start at = line_start(buf);

	if (strncmp(at.text, "Linux version ", 14) == 0)
		begin_boot(b);
	uint64_t usec = mended(b, &at);
	size_t len = strlen(at.text) + 1;

	if (len < 2 || !b->wanted(at.text))
		return;
	if (b->k->n == KMSG_LINES_MAX || len > (size_t)(b->end - b->at)) {
		b->k->n_left_out++;
		return;
	}
	memcpy(b->at, at.text, len);
	b->k->lines[b->k->n++] = (struct kline) { .usec = usec, .timed = at.timed, .text = b->at };
	b->at += len;
}

int kmsg_parse(struct kmsg *k, const char *bytes, size_t n, bool (*wanted)(const char *text))
{
	const char *end = bytes + n;

	k->lines = calloc(KMSG_LINES_MAX, sizeof(*k->lines));
	k->text = malloc(n + 2);
	if (!k->lines || !k->text) {
		kmsg_free(k);
		return -ENOMEM;
	}
	struct builder b = { .k = k, .wanted = wanted, .end = k->text + n + 2 };

	begin_boot(&b);
	for (const char *line = bytes; line < end;) {
		const char *nl = memchr(line, '\n', (size_t)(end - line));
		size_t len = (size_t)((nl ? nl : end) - line);

		add_line(&b, line, len);
		line += len + 1;
	}
	k->read = true;
	return 0;
}

void kmsg_free(struct kmsg *k)
{
	free(k->lines);
	free(k->text);
	k->lines = NULL;
	k->text = NULL;
	k->n = 0;
}

char *kmsg_text(const struct kmsg *k)
{
	size_t size = 1;

	for (uint32_t i = 0; i < k->n; i++)
		size += strlen(k->lines[i].text) + 40;
	char *buf = malloc(size);
	struct text t;

	if (!buf)
		return NULL;
	text_init(&t, buf, size);
	for (uint32_t i = 0; i < k->n; i++) {
		const struct kline *l = &k->lines[i];

		if (l->timed)
			text_add(&t, "[%5" PRIu64 ".%06" PRIu64 "] ", l->usec / 1000000,
				 l->usec % 1000000);
		text_add(&t, "%s\n", l->text);
	}
	return buf;
}

int kmsg_find(const struct kmsg *k, uint32_t from, const char *word)
{
	for (uint32_t i = from; i < k->n; i++)
		if (strstr(k->lines[i].text, word))
			return (int)i;
	return -1;
}

/* An address at s: its length, or 0. `slot`: without a function, as NVIDIA's driver writes. */
static size_t address_at(const char *s, bool slot, char pci[24])
{
	size_t domain = strspn(s, "0123456789abcdefABCDEF");

	if (domain < 4 || domain > 8)
		return 0;
	size_t n = domain + shaped(s + domain, slot ? ":xx:xx" : ":xx:xx.x");

	if (n == domain || n > 20)
		return 0;
	snprintf(pci, 24, "%.*s%s", (int)n, s, slot ? ".0" : "");
	for (char *c = pci; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	/* NVIDIA's eight-digit domains are four digits to the kernel. */
	if (domain == 8 && strncmp(pci, "0000", 4) == 0)
		memmove(pci, pci + 4, strlen(pci + 4) + 1);
	return addr_ok(pci) ? n : 0;
}

bool kline_pci(const char *text, char pci[24])
{
	for (const char *s = text; *s; s++) {
		bool begins = s == text || !isalnum((unsigned char)s[-1]);

		if (!begins || !isxdigit((unsigned char)*s))
			continue;
		if (address_at(s, false, pci))
			return true;
		if (s - text >= 4 && strncmp(s - 4, "PCI:", 4) == 0 && address_at(s, true, pci))
			return true;
	}
	pci[0] = '\0';
	return false;
}
