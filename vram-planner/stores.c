/* SPDX-License-Identifier: MIT */
#include "vram-planner/stores.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/own.h"
#include "base/text.h"
#include "vram-planner/quant_name.h"
#include "vram-planner/split.h"

#define DEPTH_MAX    6 /* folders in folders; every store needs fewer */
#define ENTRIES_MAX  65536
#define MANIFEST_MAX (256 << 10)

/* One walk through a store. */
struct walk {
	struct catalog *c;
	const char *store, *root;
	uint32_t entries;
	int rc;
};

static bool ends_in(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n > k && strcasecmp(s + n - k, end) == 0;
}

static struct found *add(struct walk *w, const char *path)
{
	struct catalog *c = w->c;

	if (c->n == FOUND_MAX) {
		c->cut = true;
		return NULL;
	}
	if (c->n == c->room) {
		uint32_t room = c->room ? 2 * c->room : 16;
		struct found *grown = reallocarray(c->all, room, sizeof(*grown));

		if (!grown) {
			w->rc = -ENOMEM;
			return NULL;
		}
		c->all = grown;
		c->room = room;
	}
	struct found *f = &c->all[c->n];

	*f = (struct found) { .store = w->store };
	if (!text_copy(f->path, sizeof(f->path), path))
		return NULL;
	c->n++;
	return f;
}

/* --- files --- */

/* "models--org--repo/snapshots/REV/file" -> "org/repo/file"; other stores' names are their paths. */
static void name_of(char *name, size_t size, const char *below)
{
	const char *at = below;
	struct text t;

	text_init(&t, name, size);
	if (strncmp(at, "models--", 8) != 0) {
		text_add(&t, "%s", at);
		text_clean(name);
		return;
	}
	for (at += 8; *at && *at != '/';) {
		if (strncmp(at, "--", 2) == 0) {
			text_add(&t, "/");
			at += 2;
		} else {
			text_add(&t, "%c", *at++);
		}
	}
	if (strncmp(at, "/snapshots/", 11) == 0) {
		at += 11;
		at += strcspn(at, "/");
	}
	text_add(&t, "%s", at);
	text_clean(name);
}

/* The other shards of a model and image encoders are no models of their own. */
static bool is_model(const char *file)
{
	uint32_t no, of;

	return ends_in(file, ".gguf") && !strcasestr(file, "mmproj") &&
	       !(split_parse(file, &no, &of) && no != 1);
}

static void take_file(struct walk *w, const char *path)
{
	const char *below = path + strlen(w->root) + 1;
	const char *slash = strrchr(path, '/');
	struct found *f = NULL;

	if (is_model(slash + 1))
		f = add(w, path);
	if (f)
		name_of(f->name, sizeof(f->name), below);
	/* A checkpoint in the hub's own format is named by its folder. */
	if (strcmp(slash, "/config.json") == 0 && slash > path + strlen(w->root)) {
		char folder[1024];

		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		char index[1100], one[1100];

		snprintf(index, sizeof(index), "%s/model.safetensors.index.json", folder);
		snprintf(one, sizeof(one), "%s/model.safetensors", folder);
		if (access(index, R_OK) != 0 && access(one, R_OK) != 0)
			return;
		f = add(w, folder);
		if (f)
			name_of(f->name, sizeof(f->name), folder + strlen(w->root) + 1);
	}
}

static bool is_in(const struct found *f, const char *folder, size_t n)
{
	return strncmp(f->path, folder, n) == 0 && f->path[n] == '/' &&
	       !strchr(f->path + n + 1, '/');
}

/* An encoder serves the model of its folder, in whatever quants; among several models nobody knows whose. */
static void pair_projectors(struct catalog *c, const char *path)
{
	size_t n = (size_t)(strrchr(path, '/') - path);
	const char *model = NULL;

	for (uint32_t i = 0; i < c->n; i++) {
		const char *file = c->all[i].path + n + 1;

		if (!is_in(&c->all[i], path, n))
			continue;
		if (model && !quant_same_model(model, file))
			return;
		model = file;
	}
	for (uint32_t i = 0; i < c->n; i++) {
		if (is_in(&c->all[i], path, n))
			text_copy(c->all[i].projector, sizeof(c->all[i].projector), path);
	}
}

static void walk_folder(struct walk *w, const char *folder, int depth,
			void (*file)(struct walk *w, const char *path))
{
	char projector[1024] = "";
	own_dir DIR *d = opendir(folder);
	const struct dirent *de;

	while (d && w->rc == 0 && (de = readdir(d))) {
		char path[1024];
		struct stat st;

		if (de->d_name[0] == '.' || ++w->entries > ENTRIES_MAX ||
		    snprintf(path, sizeof(path), "%s/%s", folder, de->d_name) >=
			    (int)sizeof(path) ||
		    fstatat(dirfd(d), de->d_name, &st, 0) != 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
			walk_folder(w, path, depth + 1, file);
		else if (S_ISREG(st.st_mode))
			file(w, path);
		if (S_ISREG(st.st_mode) && strcasestr(de->d_name, "mmproj") &&
		    ends_in(de->d_name, ".gguf"))
			text_copy(projector, sizeof(projector), path);
	}
	if (projector[0])
		pair_projectors(w->c, projector);
}

/* --- Ollama --- */

static bool read_manifest(struct manifest *m, const char *path)
{
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	own_free char *bytes = malloc(MANIFEST_MAX);
	long n = fd >= 0 && bytes ? io_read(fd, bytes, MANIFEST_MAX) : -1;

	return n > 0 && n < MANIFEST_MAX && manifest_parse(m, bytes, (size_t)n, NULL) == 0;
}

/* manifests/REGISTRY/NAMESPACE/NAME/TAG: its own registry and namespace are left out of the name. */
static void ollama_name(char *name, size_t size, const char *below)
{
	static const char *const own[] = { "registry.ollama.ai/library/", "registry.ollama.ai/" };
	struct text t;
	size_t skip = 0;

	for (size_t i = 0; i < 2 && !skip; i++) {
		if (strncmp(below, own[i], strlen(own[i])) == 0)
			skip = strlen(own[i]);
	}
	const char *slash = strrchr(below, '/');

	text_init(&t, name, size);
	if (slash && slash > below + skip)
		text_add(&t, "%.*s:%s", (int)(slash - below - (long)skip), below + skip, slash + 1);
	else
		text_add(&t, "%s", below + skip);
	text_clean(name);
}

static void take_manifest(struct walk *w, const char *path)
{
	char blob[1200];
	struct manifest m;

	if (!read_manifest(&m, path))
		return;
	snprintf(blob, sizeof(blob), "%.*s/blobs/%s", (int)(strlen(w->root) - strlen("/manifests")),
		 w->root, m.model);
	struct found *f = access(blob, F_OK) == 0 ? add(w, blob) : NULL;

	if (!f)
		return;
	ollama_name(f->name, sizeof(f->name), path + strlen(w->root) + 1);
	if (m.projector[0])
		snprintf(f->projector, sizeof(f->projector), "%.*s/blobs/%s",
			 (int)(strlen(w->root) - strlen("/manifests")), w->root, m.projector);
}

/* --- all of them --- */

static void read_root(struct catalog *c, const char *store, const char *root, int *rc)
{
	struct walk w = { .c = c, .store = store, .root = root };
	bool ollama = strcmp(store, "ollama") == 0;

	walk_folder(&w, root, 0, ollama ? take_manifest : take_file);
	if (w.rc)
		*rc = w.rc;
}

/*
 * Where each keeps its models: a variable of its own, else below home or another variable's folder; what
 * must stand in for "~" is HOME. All that exist are read.
 */
static const struct {
	const char *store, *variable, *below;
	bool instead; /* when the variable is set, later rows of the store do not count */
} roots[] = {
	{ "berth", "BERTH_MODELS", "", true },
	{ "berth", "XDG_DATA_HOME", "/berth/models", true },
	{ "berth", "HOME", "/.local/share/berth/models", false },
	{ "ollama", "OLLAMA_MODELS", "/manifests", true },
	{ "ollama", "HOME", "/.ollama/models/manifests", false },
	{ "ollama", NULL, "/usr/share/ollama/.ollama/models/manifests", false },
	{ "huggingface", "HF_HUB_CACHE", "", true },
	{ "huggingface", "HF_HOME", "/hub", true },
	{ "huggingface", "XDG_CACHE_HOME", "/huggingface/hub", true },
	{ "huggingface", "HOME", "/.cache/huggingface/hub", false },
	{ "llama.cpp", "LLAMA_CACHE", "", true },
	{ "llama.cpp", "XDG_CACHE_HOME", "/llama.cpp", true },
	{ "llama.cpp", "HOME", "/.cache/llama.cpp", false },
	{ "lmstudio", "HOME", "/.lmstudio/models", false },
	{ "lmstudio", "HOME", "/.cache/lm-studio/models", false },
};

static int by_store_and_name(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int d = strcmp(x->store, y->store);

	d = d ? d : strcmp(x->name, y->name);
	return d ? d : strcmp(x->path, y->path);
}

static void sort(struct catalog *c)
{
	if (c->n)
		qsort(c->all, c->n, sizeof(*c->all), by_store_and_name);
}

int stores_read(struct catalog *c, struct err *e)
{
	const char *settled = ""; /* the store whose own variable was set */
	int rc = 0;

	*c = (struct catalog) { 0 };
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		const char *base = roots[i].variable ? getenv(roots[i].variable) : "";
		char root[1024];

		if (!base || (roots[i].variable && base[0] != '/') ||
		    strcmp(settled, roots[i].store) == 0)
			continue;
		if (roots[i].instead)
			settled = roots[i].store;
		if (snprintf(root, sizeof(root), "%s%s", base, roots[i].below) < (int)sizeof(root))
			read_root(c, roots[i].store, root, &rc);
	}
	sort(c);
	return rc ? err_set(e, rc, "no memory for the list of models") : 0;
}

int stores_read_folder(struct catalog *c, const char *folder, struct err *e)
{
	char root[1024];
	int rc = 0;

	*c = (struct catalog) { 0 };
	if (!text_copy(root, sizeof(root), folder))
		return err_set(e, -ENAMETOOLONG, "the path is too long");
	for (size_t n = strlen(root); n > 1 && root[n - 1] == '/'; n--)
		root[n - 1] = '\0';
	own_dir DIR *d = opendir(root);

	if (!d)
		return err_set(e, -errno, "%s: %s", folder, strerror(errno));
	read_root(c, "", root, &rc);
	sort(c);
	return rc ? err_set(e, rc, "no memory for the list of models") : 0;
}

void catalog_free(struct catalog *c)
{
	free(c->all);
	*c = (struct catalog) { 0 };
}

/* --- names --- */

static bool same(const char *a, size_t n, const char *b)
{
	return strlen(b) == n && strncasecmp(a, b, n) == 0;
}

/* How well a name fits: 0 not, 2 as its store has it, 1 by the file alone. */
static int fits(const struct found *f, const char *name)
{
	size_t n = strlen(f->name), k = strlen(f->store);
	const char *base = strrchr(f->name, '/');

	if (k && strncasecmp(name, f->store, k) == 0 && name[k] == ':')
		name += k + 1;
	if (same(f->name, n, name))
		return 2;
	/* Ollama's tag when none is said. */
	if (ends_in(f->name, ":latest") && same(f->name, n - strlen(":latest"), name))
		return 2;
	base = base ? base + 1 : f->name;
	n = strlen(base);
	return same(base, n, name) || (ends_in(base, ".gguf") && same(base, n - 5, name));
}

const struct found *catalog_find(const struct catalog *c, const char *name, struct err *e)
{
	const struct found *best = NULL, *other = NULL;
	int most = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		const struct found *f = &c->all[i];
		int how = fits(f, name);

		if (how == 0 || how < most)
			continue;
		other = how > most || strcmp(best->path, f->path) == 0 ? NULL : f;
		best = how > most ? f : best;
		most = how;
	}
	if (!other)
		return best;
	err_set(e, -EINVAL, "'%.80s' may be %s:%s or %s:%s; say which", name, best->store,
		best->name, other->store, other->name);
	return NULL;
}
