/* SPDX-License-Identifier: MIT */
#include "core/serverlog.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

void serverlog_init(struct serverlog *l)
{
	memset(l, 0, sizeof(*l));
	enginelog_init(&l->engine);
}

/* Behind "0.00.012.352 D ", and the letter; the line itself and '\0' when it has no such thing. */
static const char *body(const char *line, char *level)
{
	const char *s = line + strspn(line, "0123456789.");

	*level = '\0';
	if (s == line || s[0] != ' ' || !isupper((unsigned char)s[1]) || s[2] != ' ')
		return line;
	*level = s[1];
	return s + 3;
}

/* "CUDA0" -> "cuda" */
static void backend_of(char *backend, size_t size, const char *name)
{
	text_copy(backend, size, name);
	backend[strcspn(backend, "0123456789")] = '\0';
	for (char *c = backend; *c; c++)
		*c = (char)tolower((unsigned char)*c);
}

/* "llama_prepare_model_devices: using device CUDA0 (NVIDIA ...) (0000:c1:00.0) - 23000 MiB free" */
static void device_line(struct serverlog *l, const char *line)
{
	static const char sign[] = ": using device ";
	const char *s = strstr(line, sign), *end = s ? strstr(s, ") - ") : NULL;

	if (!end || l->n_devices > PLAN_DEVICES_MAX)
		return;
	struct engine_device *d = &l->devices[l->n_devices];
	const char *id = end;
	char text[64];

	s += sizeof(sign) - 1;
	while (id > s && id[-1] != '(')
		id--;
	size_t n = strcspn(s, " ");

	if (n == 0 || n >= sizeof(d->name) || id == s || (size_t)(end - id) >= sizeof(text))
		return;
	memcpy(d->name, s, n);
	d->name[n] = '\0';
	text_clean(d->name);
	memcpy(text, id, (size_t)(end - id));
	text[end - id] = '\0';
	device_pci(d->pci, text);
	backend_of(d->backend, sizeof(d->backend), d->name);
	text_copy(d->type, sizeof(d->type), "gpu");
	l->n_devices++;
}

/*
 * Lines from which on the log quotes the model's file as it is: its vocabulary and its name. The dump of the
 * file's keys comes before the devices, but has no line breaks: the engine escapes those of values, and
 * a model with any in its keys is refused before (vram-planner/gguf.c).
 */
static bool quotes(const char *line)
{
	static const char *const signs[] = { "load: ", "init_tokenizer: ", "print_info: arch " };

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		if (strncmp(line, signs[i], strlen(signs[i])) == 0)
			return true;
	return false;
}

static void end_line(struct serverlog *l)
{
	char level;

	l->line[l->len] = '\0';
	l->len = 0;
	const char *s = body(l->line, &level);

	if (quotes(s))
		l->model_seen = true;
	if (!l->model_seen)
		device_line(l, s);
	enginelog_feed(&l->engine, level == 'E', s);
	enginelog_feed(&l->engine, level == 'E', "\n");
}

void serverlog_feed(struct serverlog *l, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n')
			end_line(l);
		else if (l->len < sizeof(l->line) - 1)
			l->line[l->len++] = bytes[i] ? bytes[i] : '?';
	}
}
