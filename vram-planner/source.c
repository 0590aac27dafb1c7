/* SPDX-License-Identifier: MIT */
#include "vram-planner/source.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/own.h"
#include "base/text.h"
#include "vram-planner/hf.h"
#include "vram-planner/http.h"
#include "vram-planner/load.h"
#include "vram-planner/model_priv.h"
#include "vram-planner/remote.h"
#include "vram-planner/split.h"
#include "vram-planner/stores.h"

#define LISTING_MAX (8 << 20) /* of a repository with thousands of files */

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

bool source_is_checkpoint(const char *what)
{
	char path[1100];
	struct stat st;

	snprintf(path, sizeof(path), "%.1000s/config.json", what);
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* Where a checkpoint lies, and how to get at its files. */
struct checkpoint {
	const struct source_env *v;
	const struct opener *files;
	bool headers;
};

static int open_checkpoint(const struct opener *o, struct reader **r, const char *where,
			   struct err *e)
{
	const struct checkpoint *c = o->arg;
	uint64_t n, total;
	uint8_t *bytes;
	char how[160];
	int rc = hf_build(&bytes, &n, &total, how, where, c->files, c->headers,
			  c->v->quant ? c->v->quant : mix_find(MIX_DEFAULT), e);

	*r = NULL;
	if (rc)
		return rc;
	*r = reader_memory(bytes, n, total);
	if (!*r)
		return err_set(e, -ENOMEM, "no memory");
	text_copy((*r)->note, sizeof((*r)->note), how);
	return 0;
}

static int load_checkpoint(struct model **m, const char *where, const struct source_env *v,
			   const struct opener *files, bool headers, struct err *e)
{
	const struct checkpoint c = { .v = v, .files = files, .headers = headers };
	const struct opener o = { .open = open_checkpoint, .arg = &c };

	return model_load(m, where, &o, e);
}

/* --- names that stores know --- */

/* Nothing is at this path. Somebody's store may call a model so; then open that. */
static int open_by_name(struct model **m, const char *what, const struct source_env *v,
			struct err *e)
{
	struct catalog c;
	struct err several = { 0 };
	int rc = stores_read(&c, e);
	const struct found *f = rc ? NULL : catalog_find(&c, what, &several);

	if (rc == 0 && several.rc)
		rc = err_set(e, several.rc, "%s", several.text);
	else if (rc == 0 && !f && strchr(what, '/'))
		rc = -ENOENT; /* *e has the file's own error */
	else if (rc == 0 && !f)
		rc = err_set(e, -ENOENT,
			     "%.200s: No such file or directory, nor a model of this name in a "
			     "store; --list shows what is there",
			     what);
	else if (rc == 0)
		rc = source_is_checkpoint(f->path)
			     ? load_checkpoint(m, f->path, v, &opener_files, true, e)
			     : model_open(m, f->path, e);
	if (rc == 0 && f->projector[0])
		model_add_note(
			*m, "an image encoder lies beside it, not counted without --mmproj %.90s",
			f->projector);
	catalog_free(&c);
	return rc;
}

int model_find(char *path, size_t size, const char *what, struct err *e)
{
	struct err several = { 0 };
	struct catalog c = { 0 };

	if (http_is_url(what) || strncmp(what, "hf:", 3) == 0)
		return err_set(e, -EINVAL, "%s is on a server; fetch it first: berth pull %s", what,
			       what);
	bool here = access(what, F_OK) == 0;
	int rc = here ? 0 : stores_read(&c, e);
	const struct found *f = here || rc ? NULL : catalog_find(&c, what, &several);

	if (rc == 0 && several.rc)
		rc = err_set(e, several.rc, "%s", several.text);
	else if (rc == 0 && !here && !f)
		rc = err_set(e, -ENOENT,
			     "there is no file %s, and no store of models here knows that name",
			     what);
	if (rc == 0 && !text_copy(path, size, f ? f->path : what))
		rc = err_set(e, -ENAMETOOLONG, "the path is too long");
	catalog_free(&c);
	return rc;
}

/* Its config, its index or one of its shards, named instead of the folder. */
static bool is_part_of_checkpoint(const char *what, char *folder, size_t size)
{
	const char *slash = strrchr(what, '/'), *file = slash ? slash + 1 : what;

	if (strcmp(file, "config.json") != 0 && !strstr(file, ".safetensors"))
		return false;
	int n = slash ? snprintf(folder, size, "%.*s", (int)(slash - what), what)
		      : snprintf(folder, size, ".");

	return n > 0 && (size_t)n < size && source_is_checkpoint(folder);
}

static int open_local(struct model **m, const char *what, const struct source_env *v, struct err *e)
{
	char folder[1024];

	if (source_is_checkpoint(what))
		return load_checkpoint(m, what, v, &opener_files, true, e);
	if (is_part_of_checkpoint(what, folder, sizeof(folder)))
		return load_checkpoint(m, folder, v, &opener_files, true, e);
	int rc = model_open(m, what, e);

	return rc == -ENOENT ? open_by_name(m, what, v, e) : rc;
}

/* One without GGUF files: its checkpoint. A request for each of hundreds of shards is not made. */
static int open_repository(struct model **m, const char *what, const struct source_env *v,
			   const struct opener *urls, struct err *e)
{
	static const char file[] = "/config.json";
	char name[512], url[HTTP_URL_MAX];

	if (snprintf(name, sizeof(name), "%s%s", what, file) >= (int)sizeof(name))
		return err_set(e, -ENAMETOOLONG, "the name is too long");
	int rc = http_from_hf(name, v->endpoint, url, sizeof(url), e);

	if (rc)
		return rc;
	url[strlen(url) - strlen(file)] = '\0';
	return load_checkpoint(m, url, v, urls, false, e);
}

int source_open(struct model **m, const char *what, const struct source_env *v, struct err *e)
{
	const struct opener urls = { .open = open_url, .arg = v };
	char url[HTTP_URL_MAX];

	*m = NULL;
	if (source_is_repository(what))
		return open_repository(m, what, v, &urls, e);
	if (strncmp(what, "hf:", 3) == 0) {
		int rc = http_from_hf(what, v->endpoint, url, sizeof(url), e);

		return rc ? rc : model_load(m, url, &urls, e);
	}
	if (http_is_url(what))
		return model_load(m, what, &urls, e);
	return open_local(m, what, v, e);
}

/* --- repositories --- */

bool source_is_repository(const char *what)
{
	const char *slash = strncmp(what, "hf:", 3) == 0 ? strchr(what, '/') : NULL;

	return slash && slash[1] && !strchr(slash + 1, '/');
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_model_file(const char *name)
{
	uint32_t no, of;
	size_t n = strlen(name);

	return n > 5 && n < 400 && strcasecmp(name + n - 5, ".gguf") == 0 &&
	       !strcasestr(name, "mmproj") && !(split_parse(name, &no, &of) && no != 1);
}

/* Pointers and texts in one block. */
static int collect(char ***files, const json_t *siblings, struct err *e)
{
	size_t i, n = 0, bytes = 0;
	json_t *s;

	json_array_foreach(siblings, i, s)
	{
		const char *name = json_string_value(json_object_get(s, "rfilename"));

		if (name && is_model_file(name))
			bytes += sizeof(char *) + strlen(name) + 1, n++;
	}
	*files = malloc(bytes + 1);
	if (!*files)
		return err_set(e, -ENOMEM, "no memory for a list of files");
	char *text = (char *)(*files + n);

	n = 0;
	json_array_foreach(siblings, i, s)
	{
		const char *name = json_string_value(json_object_get(s, "rfilename"));

		if (!name || !is_model_file(name))
			continue;
		(*files)[n++] = text;
		text = stpcpy(text, name) + 1;
	}
	qsort(*files, n, sizeof(char *), by_name);
	return (int)n;
}

int source_list_repository(char ***files, const char *what, const struct source_env *v,
			   struct err *e)
{
	struct remote_opts opts = remote_opts(v);
	char url[HTTP_URL_MAX], *bytes = NULL;
	const char *repo = what + 3, *at = strchr(repo, '@');
	size_t n;

	*files = NULL;
	int len = snprintf(url, sizeof(url), "%s/api/models/%.*s%s%s", v->endpoint,
			   at ? (int)(at - repo) : (int)strlen(repo), repo, at ? "/revision/" : "",
			   at ? at + 1 : "");

	if (len >= (int)sizeof(url) || strpbrk(repo, " ?#%\\<>\""))
		return err_set(e, -EINVAL, "'%.200s' is no repository; write hf:ORG/REPO", what);
	int rc = remote_fetch(&bytes, &n, url, LISTING_MAX, &opts, e);
	json_t *o = rc ? NULL : json_parse(bytes, n, "the list of a repository", e);

	free(bytes);
	if (!rc && !o)
		rc = -EBADMSG;
	if (!rc)
		rc = collect(files, json_object_get(o, "siblings"), e);
	json_decref(o);
	return rc < 0 ? err_at(e, rc, "%s", what) : rc;
}
