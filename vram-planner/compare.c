/* SPDX-License-Identifier: MIT */
#include "vram-planner/compare.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"
#include "vram-planner/http.h"
#include "vram-planner/quant_name.h"

static int add(struct comparison *c, const char *name, const char *what, const char *store,
	       struct err *e)
{
	if (c->n == c->room) {
		uint32_t room = c->room ? 2 * c->room : 8;
		struct entry *grown = reallocarray(c->all, room, sizeof(*grown));

		if (!grown)
			return err_set(e, -ENOMEM, "no memory for %" PRIu32 " models", room);
		c->all = grown;
		c->room = room;
	}
	struct entry *n = &c->all[c->n];

	memset(n, 0, sizeof(*n));
	n->store = store;
	if (!text_copy(n->what, sizeof(n->what), what))
		return err_set(e, -ENAMETOOLONG, "the path is too long");
	text_copy(n->name, sizeof(n->name), name);
	text_clean(n->name);
	c->n++;
	return 0;
}

static int add_found(struct comparison *c, const struct catalog *found, const char *like,
		     struct err *e)
{
	for (uint32_t i = 0; i < found->n; i++) {
		const struct found *f = &found->all[i];
		uint32_t before = c->n;
		int rc = 0;

		if (!like || quant_same_model(like, f->name))
			rc = add(c, f->name, f->path, f->store, e);
		if (rc)
			return rc;
		if (c->n > before)
			text_copy(c->all[c->n - 1].projector, sizeof(c->all[0].projector),
				  f->projector);
	}
	c->cut = c->cut || found->cut;
	return 0;
}

/* --- operands --- */

static bool is_folder(const char *what)
{
	struct stat st;

	return stat(what, &st) == 0 && S_ISDIR(st.st_mode);
}

static int add_folder(struct comparison *c, const char *folder, const char *like, struct err *e)
{
	struct catalog found;
	uint32_t before = c->n;
	int rc = stores_read_folder(&found, folder, e);

	if (!rc)
		rc = add_found(c, &found, like, e);
	catalog_free(&found);
	if (!rc && c->n == before && like)
		rc = err_set(e, -ENOENT, "%s: neither it nor another quant of it is in %s", like,
			     folder);
	else if (!rc && c->n == before)
		rc = err_set(e, -ENOENT, "%s: no model is in this folder", folder);
	return rc;
}

/* The files beside a file. */
static int add_siblings(struct comparison *c, const char *what, struct err *e)
{
	const char *slash = strrchr(what, '/');
	char folder[1024];

	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - what) : 1,
		 slash ? what : ".");
	return add_folder(c, slash == what ? "/" : folder, slash ? slash + 1 : what, e);
}

static int add_repository(struct comparison *c, const char *name, const struct source_env *v,
			  struct err *e)
{
	char **files = NULL;
	int n = source_list_repository(&files, name, v, e), rc = n < 0 ? n : 0;

	for (int i = 0; i < n && !rc; i++) {
		char what[1024];

		snprintf(what, sizeof(what), "%s/%s", name, files[i]);
		rc = add(c, files[i], what, "", e);
	}
	free(files);
	if (n == 0) /* a checkpoint, perhaps */
		rc = add(c, name, name, "", e);
	return rc;
}

bool compare_is_several(const char *what)
{
	return source_is_repository(what) || (is_folder(what) && !source_is_checkpoint(what));
}

int compare_add(struct comparison *c, const char *what, bool quants, const struct source_env *v,
		struct err *e)
{
	if (source_is_repository(what))
		return add_repository(c, what, v, e);
	if (is_folder(what) && !source_is_checkpoint(what))
		return add_folder(c, what, NULL, e);
	if (quants && !is_folder(what) && !http_is_url(what))
		return add_siblings(c, what, e);
	return add(c, what, what, "", e);
}

int compare_add_stores(struct comparison *c, struct err *e)
{
	struct catalog found;
	int rc = stores_read(&found, e);

	if (!rc)
		rc = add_found(c, &found, NULL, e);
	catalog_free(&found);
	return rc;
}

/* --- ranking --- */

static bool accepted(const struct entry *n)
{
	return n->rc == 0 && plan_exit(&n->answer.plan) == EXIT_YES;
}

/* The better the smaller. */
static int class_of(const struct entry *n)
{
	static const int order[] = { [VERDICT_FITS] = 0,
				     [VERDICT_SPILLS] = 1,
				     [VERDICT_UNKNOWN] = 2,
				     [VERDICT_NO] = 3,
				     [VERDICT_REFUSED] = 4 };

	return n->rc ? 5 : order[n->answer.plan.verdict];
}

static int by_rank(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	uint64_t size_x = x->rc ? 0 : x->answer.model_bytes;
	uint64_t size_y = y->rc ? 0 : y->answer.model_bytes;

	if (accepted(x) != accepted(y))
		return accepted(y) - accepted(x);
	if (class_of(x) != class_of(y))
		return class_of(x) - class_of(y);
	if (size_x != size_y)
		return size_x < size_y ? 1 : -1;
	return strcmp(x->name, y->name);
}

void compare_rank(struct comparison *c, const struct question *q)
{
	for (uint32_t i = 0; i < c->n; i++) {
		struct entry *n = &c->all[i];

		n->rc = answer_make(&n->answer, n->what, q, &n->why);
	}
	if (c->n)
		qsort(c->all, c->n, sizeof(*c->all), by_rank);
}

static enum exit_code exit_of(const struct entry *n)
{
	return n->rc ? err_exit(n->rc) : plan_exit(&n->answer.plan);
}

enum exit_code compare_exit(const struct comparison *c, bool every)
{
	static const enum exit_code order[] = { EXIT_BAD_INPUT, EXIT_ENV, EXIT_UNKNOWN, EXIT_NO };
	uint32_t n_yes = 0;

	for (uint32_t i = 0; i < c->n; i++)
		n_yes += accepted(&c->all[i]);
	if (n_yes == c->n || (n_yes > 0 && !every))
		return EXIT_YES;
	for (size_t k = 0; k < sizeof(order) / sizeof(order[0]); k++) {
		for (uint32_t i = 0; i < c->n; i++) {
			if (exit_of(&c->all[i]) == order[k])
				return order[k];
		}
	}
	return EXIT_NO;
}

/* --- showing --- */

static void add_size(struct text *t, uint64_t bytes)
{
	char size[TEXT_SIZE_MAX];

	text_add(t, " %9s", text_size(size, bytes));
}

/* What is left where it is tightest. */
static void add_left(struct text *t, const struct plan *p)
{
	int64_t least = p->n_devices ? p->devices[0].left_bytes : p->host.left_bytes;
	char size[TEXT_SIZE_MAX];

	for (uint32_t i = 1; i < p->n_devices; i++)
		least = p->devices[i].left_bytes < least ? p->devices[i].left_bytes : least;
	if (!p->n_devices && !fact_known(&p->host.free_bytes))
		text_add(t, " %9s", "unknown");
	else if (least < 0)
		text_add(t, " %9s", text_size_signed(size, least));
	else
		text_add(t, " %9s", text_size(size, (uint64_t)least));
}

static void add_plan(struct text *t, const struct answer *a)
{
	const struct plan *p = &a->plan;
	uint64_t gpu = 0;
	char speed[48] = "-";
	struct text s;

	for (uint32_t i = 0; i < p->n_devices; i++)
		gpu += plan_buffers_sum(&p->devices[i].buffers);
	add_size(t, a->model_bytes);
	if (!p->n_devices && !p->host.layers) {
		text_add(t, " %9s %9s %9s %12s", "-", "-", "-", "-");
		return;
	}
	add_size(t, gpu);
	add_size(t, plan_buffers_sum(&p->host.buffers));
	add_left(t, p);
	text_init(&s, speed, sizeof(speed));
	if (a->has_speed && a->speed.generation.known)
		speed_brief(&s, &a->speed.generation);
	text_add(t, " %12s", speed[0] ? speed : "-");
}

static void show_entry(FILE *to, const struct entry *n)
{
	char line[768];
	struct text t;

	text_init(&t, line, sizeof(line));
	text_add(&t, "%-8s", n->rc ? "error" : verdict_name(n->answer.plan.verdict));
	if (n->rc)
		text_add(&t, " %9s %9s %9s %9s %12s", "-", "-", "-", "-", "-");
	else
		add_plan(&t, &n->answer);
	text_add(&t, "  %s%s%.200s%s", n->store, n->store[0] ? ":" : "", n->name,
		 n->projector[0] ? " (and an image encoder)" : "");
	fprintf(to, "%s\n", line);
	if (n->rc)
		fprintf(to, "         %s\n", n->why.text);
	else if (!accepted(n))
		fprintf(to, "         %s\n", n->answer.plan.decided_by);
}

static uint32_t shown(const struct comparison *c, uint32_t top)
{
	return top && top < c->n ? top : c->n;
}

void compare_explain(FILE *to, const struct comparison *c, uint32_t top)
{
	uint32_t n = shown(c, top);

	if (c->n == 0) {
		fprintf(to, "no model is in any store that berth knows\n");
		return;
	}
	fprintf(to, "%-8s %9s %9s %9s %9s %12s  %s\n", "verdict", "size", "on GPUs", "on host",
		"left", "tokens/s", "model");
	for (uint32_t i = 0; i < n; i++)
		show_entry(to, &c->all[i]);
	if (n < c->n)
		fprintf(to, "%" PRIu32 " more; --top %" PRIu32 " shows them\n", c->n - n, c->n);
	if (c->cut)
		fprintf(to, "a store has more than %d models; the rest is left out\n", FOUND_MAX);
}

static json_t *entry_to_json(const struct entry *n, const struct question *q, uint32_t rank)
{
	json_t *o = json_object();

	json_put_int(o, "rank", rank);
	json_put_text(o, "name", n->name);
	json_put_text_or_null(o, "store", n->store);
	json_put_text(o, "source", n->what);
	json_put_text_or_null(o, "projector", n->projector);
	json_put_bool(o, "accepted", accepted(n));
	json_put_text_or_null(o, "error", n->rc ? n->why.text : "");
	json_object_set_new(o, "plan", n->rc ? json_null() : answer_to_json(&n->answer, q));
	return o;
}

json_t *compare_to_json(const struct comparison *c, const struct question *q, uint32_t top)
{
	json_t *o = json_answer("berth.compare/1"), *all = json_array();

	json_put_int(o, "models_found", c->n);
	for (uint32_t i = 0; i < shown(c, top); i++)
		json_array_append_new(all, entry_to_json(&c->all[i], q, i + 1));
	json_object_set_new(o, "models", all);
	return o;
}

void compare_free(struct comparison *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		answer_fini(&c->all[i].answer);
	free(c->all);
	*c = (struct comparison) { 0 };
}
