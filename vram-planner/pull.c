/* SPDX-License-Identifier: MIT */
/* berth pull: fetch a model, all shards of it, and say where it is. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cmd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/own.h"
#include "base/text.h"
#include "vram-planner/download.h"
#include "vram-planner/http.h"
#include "vram-planner/source.h"
#include "vram-planner/split.h"

#define ROW(member) offsetof(struct options, member)
#define N_OF(rows)  (sizeof(rows) / sizeof((rows)[0]))

struct options {
	const char *output, *sha256;
	uint32_t timeout_s;
	bool json;
	int quiet, verbose;
};

/* clang-format off */
static const struct opt opts[] = {
	{ .name = "output", .letter = 'o', .kind = OPT_TEXT, .arg = "FILE|DIR", .offset = ROW(output),
	  .help = "Where to: a file, or a folder that exists. Without it below $BERTH_MODELS, else "
		  "~/.local/share/berth/models, where plan and launch find it by its name." },
	{ .name = "sha256", .kind = OPT_TEXT, .arg = "HEX", .offset = ROW(sha256),
	  .help = "The SHA-256 that it must have; without it, the one that the server tells, if it does." },
	{ .name = "timeout", .kind = OPT_U32, .arg = "SECONDS", .offset = ROW(timeout_s), .min = 1, .max = 3600,
	  .help = "Give up on a server that is silent for so long (20), after several tries." },
	{ .name = "json", .kind = OPT_FLAG, .offset = ROW(json), .help = "Answer with one berth.pull/1 object." },
	{ .name = "quiet", .letter = 'q', .kind = OPT_COUNT, .offset = ROW(quiet), .help = "No notes on stderr." },
	{ .name = "verbose", .letter = 'v', .kind = OPT_COUNT, .offset = ROW(verbose), .help = "Say more on stderr." },
};

static const struct example examples[] = {
	{ "berth pull hf:ORG/REPO/FILE.gguf", "a file of a Hugging Face repository" },
	{ "berth pull https://example.org/m-00001-of-00003.gguf", "a model in three shards" },
	{ "berth launch \"$(berth pull -q hf:ORG/REPO/FILE.gguf)\"", "fetch it unless it is there, and run it" },
	{ NULL, NULL },
};

static const struct cmd command = {
	.name = "pull",
	.summary = "fetch a model, going on where an earlier try ended",
	.operands = "URL|hf:ORG/REPO/FILE",
	.description =
		"Fetches the file by ranges into FILE.part, which the next call goes on with if the server still has the "
		"very same file (by its ETag); gives it its name when all bytes are there and their SHA-256 is the one "
		"that was asked for, or that the server tells. A shard brings the others of its model.\n\n"
		"Nothing is written when it does not fit on the disk. A file that is there already and is the same is "
		"left as it is; another one is never overwritten. The path goes to stdout.\n\n"
		"HF_TOKEN opens gated repositories and is sent to Hugging Face alone.",
	.opts = opts,
	.n_opts = N_OF(opts),
	.exits = "0  it is there\n1  the server has no such file\n2  wrong usage\n"
		 "4  the server's bytes are not what was promised\n"
		 "5  the server, the disk or the network refuses",
	.examples = examples,
	.see_also = "berth-plan(1), berth-launch(1)",
};
/* clang-format on */

struct pull {
	struct options o;
	struct log log;
	struct source_env env;
	char url[HTTP_URL_MAX];  /* as named */
	char below[PATH_MAX];    /* "ORG/REPO/" within our own folder */
	char folder[PATH_MAX];   /* ends with '/' */
	char name[NAME_MAX - 8]; /* room for ".part.json" */
	bool shown;              /* a line of progress stands on the terminal */
	int64_t begun_ms, shown_ms;
	uint64_t begun_at;
	json_t *files; /* of the answer */
};

/* --- where to --- */

static int make_folders(char *path, struct err *e)
{
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		int rc = mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;

		if (rc)
			return err_set(e, rc, "%s: %s", path, strerror(-rc));
		*p = '/';
	}
	return 0;
}

static int own_folder(struct pull *p, struct err *e)
{
	const char *models = getenv("BERTH_MODELS"), *xdg = getenv("XDG_DATA_HOME"),
		   *home = getenv("HOME");
	int n;

	if (models && *models == '/')
		n = snprintf(p->folder, sizeof(p->folder), "%s/%s", models, p->below);
	else if (xdg && *xdg == '/')
		n = snprintf(p->folder, sizeof(p->folder), "%s/berth/models/%s", xdg, p->below);
	else if (home && *home == '/')
		n = snprintf(p->folder, sizeof(p->folder), "%s/.local/share/berth/models/%s", home,
			     p->below);
	else
		return err_set(e, -EINVAL, "HOME is not set; say where to with -o");
	if (n >= (int)sizeof(p->folder))
		return err_set(e, -ENAMETOOLONG, "the path is too long");
	return make_folders(p->folder, e);
}

/* -o: a folder, or a file in one. */
static int given_folder(struct pull *p, struct err *e)
{
	const char *to = p->o.output, *slash = strrchr(to, '/');
	struct stat st;
	bool is_folder = (stat(to, &st) == 0 && S_ISDIR(st.st_mode)) || (slash && !slash[1]);
	size_t n = is_folder ? strlen(to) : slash ? (size_t)(slash - to) + 1 : 0;
	int len = snprintf(p->folder, sizeof(p->folder), "%.*s%s", (int)n, to,
			   is_folder && to[n - 1] != '/' ? "/" : "");

	if (len >= (int)sizeof(p->folder) ||
	    (!is_folder && !text_copy(p->name, sizeof(p->name), to + n)))
		return err_set(e, -ENAMETOOLONG, "the path is too long");
	return 0;
}

static int settle_names(struct pull *p, struct err *e)
{
	bool named = download_name(p->url, p->name, sizeof(p->name));
	int rc = 0;

	if (p->o.output && *p->o.output)
		rc = given_folder(p, e);
	if (rc == 0 && !p->name[0])
		rc = err_set(e, -EINVAL, "%.200s ends in no name for a file; give one with -o",
			     p->url);
	if (rc == 0 && !p->o.output)
		rc = named ? own_folder(p, e) : -EINVAL;
	return rc;
}

/* --- what to --- */

/* A whole repository: only when there is no choice. */
static int only_file(struct pull *p, const char *what, char *name, size_t size, struct err *e)
{
	own_free char **files = NULL;
	char list[400];
	struct text t;
	int n = source_list_repository(&files, what, &p->env, e);

	if (n < 0)
		return n;
	if (n == 1) {
		snprintf(name, size, "%s/%s", what, files[0]);
		return 0;
	}
	text_init(&t, list, sizeof(list));
	for (int i = 0; i < n && !t.cut; i++)
		text_add(&t, "%s%s", i ? ", " : "", files[i]);
	text_clean(list);
	return err_set(e, n ? -EINVAL : -ENOENT,
		       n ? "%s has %d models; name one: %s" : "%s has %d models", what, n, list);
}

static int settle_url(struct pull *p, const char *what, struct err *e)
{
	char name[HTTP_URL_MAX];

	if (http_is_url(what))
		return text_copy(p->url, sizeof(p->url), what)
			       ? 0
			       : err_set(e, -ENAMETOOLONG, "the URL is too long");
	if (strncmp(what, "hf:", 3) != 0)
		return err_set(e, -EINVAL, "'%.200s' is no URL and no hf:ORG/REPO/FILE", what);
	if (!text_copy(name, sizeof(name), what))
		return err_set(e, -ENAMETOOLONG, "the name is too long");
	int rc = source_is_repository(what) ? only_file(p, what, name, sizeof(name), e) : 0;

	if (rc == 0)
		rc = http_from_hf(name, p->env.endpoint, p->url, sizeof(p->url), e);
	/* hf:ORG/REPO@REV/... without the revision: names as people say them */
	const char *repo = strchr(name, '/');

	if (rc == 0)
		snprintf(p->below, sizeof(p->below), "%.*s/%.*s/", (int)(repo - name - 3), name + 3,
			 (int)strcspn(repo + 1, "/@"), repo + 1);
	return rc;
}

/* --- one file --- */

static void clear_line(struct pull *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = false;
}

static void on_note(void *arg, const char *sentence)
{
	struct pull *p = arg;

	clear_line(p);
	log_note(&p->log, "%s", sentence);
}

static void on_progress(void *arg, uint64_t have, uint64_t total)
{
	struct pull *p = arg;
	char a[TEXT_SIZE_MAX], b[TEXT_SIZE_MAX], rate[TEXT_SIZE_MAX];
	int64_t now = clock_ms();

	if (!p->begun_ms) {
		p->begun_ms = now;
		p->begun_at = have;
	}
	if (!isatty(STDERR_FILENO) || p->log.level < LOG_NORMAL || now - p->shown_ms < 200)
		return;
	p->shown_ms = now;
	uint64_t per_s = now > p->begun_ms
				 ? (have - p->begun_at) * 1000 / (uint64_t)(now - p->begun_ms)
				 : 0;

	if (total == READER_SIZE_UNKNOWN)
		fprintf(stderr, "\r\033[K%s  %s/s", text_size(a, have), text_size(rate, per_s));
	else
		fprintf(stderr, "\r\033[K%3d %%  %s of %s  %s/s",
			(int)((double)have * 100 / (double)(total ? total : 1)), text_size(a, have),
			text_size(b, total), text_size(rate, per_s));
	p->shown = true;
}

static const char *const compared_names[] = { NULL, "server", "option" };

static void add_answer(struct pull *p, const char *url, const char *path,
		       const struct downloaded *d)
{
	json_t *o = json_object();

	json_put_text(o, "url", url);
	json_put_text(o, "path", path);
	json_put_int(o, "size_bytes", (int64_t)d->bytes);
	json_put_int(o, "resumed_bytes", (int64_t)d->resumed_bytes);
	json_put_bool(o, "was_there", d->already);
	json_put_text(o, "sha256", d->sha256);
	json_put_text_or_null(o, "compared_with", d->compared ? compared_names[d->compared] : "");
	json_array_append_new(p->files, o);
}

static void tell(struct pull *p, const char *path, const struct downloaded *d)
{
	char size[TEXT_SIZE_MAX];

	clear_line(p);
	log_note(&p->log, "%s%s, %s, SHA-256 %s%s", path, d->already ? " was there" : "",
		 text_size(size, d->bytes), d->sha256,
		 d->compared == COMPARED_NOT    ? " (the server tells none to compare it with)"
		 : d->compared == COMPARED_USER ? ", as asked for"
						: ", as the server says");
}

static int fetch_one(struct pull *p, const char *url, const char *path, struct err *e)
{
	struct remote_opts r = { .endpoint = p->env.endpoint,
				 .token = p->env.token[0] ? p->env.token : NULL,
				 .timeout_s = p->env.timeout_s };
	struct download w = { .url = url,
			      .path = path,
			      .sha256 = p->o.sha256,
			      .progress = on_progress,
			      .note = on_note,
			      .arg = p };
	struct downloaded d;

	p->begun_ms = 0;
	int rc = download(&d, &w, &r, e);

	if (rc) {
		clear_line(p);
		return err_at(e, rc, "%.200s", url);
	}
	tell(p, path, &d);
	add_answer(p, url, path, &d);
	return 0;
}

/* Of a shard all others too; the first one names the model. */
static int fetch_all(struct pull *p, char first[PATH_MAX], struct err *e)
{
	uint32_t no = 1, n = 1;
	bool split = split_parse(p->url, &no, &n) && n <= SPLIT_SHARDS_MAX;

	if (split && !split_parse(p->name, &no, &n))
		return err_set(e, -EINVAL, "a model of shards keeps their names; give -o a folder");
	if (split && p->o.sha256 && n > 1)
		return err_set(e, -EINVAL, "--sha256 is for one file, and these are %u shards", n);
	for (uint32_t i = 1; i <= (split ? n : 1); i++) {
		char url[HTTP_URL_MAX], name[NAME_MAX], path[PATH_MAX];

		text_copy(url, sizeof(url), p->url);
		text_copy(name, sizeof(name), p->name);
		if (split && (!split_name(p->url, i, url, sizeof(url)) ||
			      !split_name(p->name, i, name, sizeof(name))))
			return err_set(e, -ENAMETOOLONG, "the name is too long");
		if (snprintf(path, sizeof(path), "%s%s", p->folder, name) >= (int)sizeof(path))
			return err_set(e, -ENAMETOOLONG, "the path is too long");
		if (i == 1)
			text_copy(first, PATH_MAX, path);
		int rc = fetch_one(p, url, path, e);

		if (rc)
			return rc;
	}
	return 0;
}

static int answer(struct pull *p, const char *first, struct err *e)
{
	json_t *o = p->o.json ? json_answer("berth.pull/1") : NULL;
	int rc = 0;

	if (o) {
		json_put_text(o, "path", first);
		json_object_set(o, "files", p->files);
		rc = json_print(o, stdout);
		json_decref(o);
	} else {
		printf("%s\n", first);
	}
	if (rc || fflush(stdout) || ferror(stdout))
		return err_set(e, -EIO, "cannot write to standard output");
	return 0;
}

static bool is_sha256(const char *s)
{
	return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

static int pull(struct pull *p, const char *what)
{
	char first[PATH_MAX];
	struct err e = { 0 };

	source_env(&p->env, p->o.timeout_s);
	int rc = settle_url(p, what, &e);

	if (rc == 0)
		rc = settle_names(p, &e);
	if (rc == -EINVAL)
		return cmd_usage_error(&command, "%s", e.text);
	if (rc == 0)
		rc = fetch_all(p, first, &e);
	if (rc == 0)
		rc = answer(p, first, &e);
	return rc ? (int)err_report("pull", rc, &e) : EXIT_YES;
}

int main(int argc, char **argv)
{
	struct pull *p = calloc(1, sizeof(*p));
	int first, rc;

	if (!p)
		return EXIT_ENV;
	enum cmd_go go = cmd_parse(&command, argc, argv, &p->o, &first);

	rc = cmd_exit(go);
	if (go == CMD_RUN && argc - first != 1)
		rc = cmd_usage_error(&command, "give one URL, or hf:ORG/REPO/FILE");
	else if (go == CMD_RUN && p->o.sha256 && !is_sha256(p->o.sha256))
		rc = cmd_usage_error(&command, "--sha256 takes 64 hexadecimal digits, lower case");
	else if (go == CMD_RUN) {
		log_init(&p->log, "berth pull", p->o.quiet, p->o.verbose);
		p->files = json_array();
		rc = pull(p, argv[first]);
		json_decref(p->files);
	}
	free(p);
	return rc;
}
