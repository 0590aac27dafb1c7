/* SPDX-License-Identifier: MIT */
#include "vram-planner/source.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/own.h"
#include "base/text.h"
#include "vram-planner/http.h"
#include "vram-planner/load.h"
#include "vram-planner/remote.h"

static const char *env(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

/* A token is one word; anything else in the file is not one. */
static void read_token_file(char *token, size_t size, const char *path)
{
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	long n = fd >= 0 ? io_read(fd, token, size - 1) : -1;

	token[n > 0 ? n : 0] = '\0';
	text_trim(token);
}

static void find_token(char *token, size_t size)
{
	const char *given = env("HF_TOKEN"), *path = env("HF_TOKEN_PATH"), *home = env("HF_HOME");
	char buf[1024];

	if (given) {
		text_copy(token, size, given);
	} else {
		if (home)
			snprintf(buf, sizeof(buf), "%s/token", home);
		else
			snprintf(buf, sizeof(buf), "%s/.cache/huggingface/token",
				 env("HOME") ? env("HOME") : "");
		read_token_file(token, size, path ? path : buf);
	}
	/* It becomes a header line. */
	for (const char *c = token; *c; c++) {
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
			token[0] = '\0';
	}
}

void source_env(struct source_env *v, uint32_t timeout_s)
{
	const char *endpoint = env("HF_ENDPOINT"), *xdg = env("XDG_CACHE_HOME"),
		   *home = env("HOME");

	*v = (struct source_env) { .timeout_s = timeout_s ? timeout_s : SOURCE_TIMEOUT_S };
	text_copy(v->endpoint, sizeof(v->endpoint), endpoint ? endpoint : "https://huggingface.co");
	for (size_t n = strlen(v->endpoint); n && v->endpoint[n - 1] == '/'; n--)
		v->endpoint[n - 1] = '\0';
	find_token(v->token, sizeof(v->token));
	if (env("BERTH_NO_CACHE"))
		return;
	if (xdg && *xdg == '/')
		snprintf(v->cache, sizeof(v->cache), "%s/berth/headers", xdg);
	else if (home && *home == '/')
		snprintf(v->cache, sizeof(v->cache), "%s/.cache/berth/headers", home);
}

static struct remote_opts remote_opts(const struct source_env *v)
{
	return (struct remote_opts) { .endpoint = v->endpoint,
				      .token = v->token[0] ? v->token : NULL,
				      .cache_dir = v->cache[0] ? v->cache : NULL,
				      .timeout_s = v->timeout_s };
}

static int open_url(const struct opener *o, struct reader **r, const char *where, struct err *e)
{
	struct remote_opts opts = remote_opts(o->arg);

	return remote_open(r, where, &opts, e);
}

int source_open(struct model **m, const char *what, const struct source_env *v, struct err *e)
{
	const struct opener urls = { .open = open_url, .arg = v };
	char url[HTTP_URL_MAX];

	*m = NULL;
	if (strncmp(what, "hf:", 3) == 0) {
		int rc = http_from_hf(what, v->endpoint, url, sizeof(url), e);

		return rc ? rc : model_load(m, url, &urls, e);
	}
	if (http_is_url(what))
		return model_load(m, what, &urls, e);
	return model_open(m, what, e);
}
