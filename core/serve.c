/* SPDX-License-Identifier: MIT */
#include "core/serve.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* "/models/Qwen3-8B-Q4_K_M.gguf" is "Qwen3-8B-Q4_K_M". */
static void name_after(char *name, size_t size, const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	size_t n;

	text_copy(name, size, base);
	text_clean(name);
	n = strlen(name);
	if (n > 5 && strcmp(name + n - 5, ".gguf") == 0)
		name[n - 5] = 0;
}

/* Everything but Ollama's port wants a key, or to be told that there is none. */
static int check_key(const struct serve *s, struct err *e)
{
	for (uint32_t i = 0; i < s->sockets.n; i++) {
		const struct listening *l = &s->sockets.list[i];

		if (!s->o.key && !l->ollama && !l->local)
			return err_set(
				e, -EACCES,
				"%s can be reached from other machines, which needs a key: give "
				"--key-file FILE",
				l->where);
	}
	return 0;
}

int serve_open(struct serve *s, const struct serve_options *o, const char *model_path,
	       struct err *e)
{
	int rc;

	*s = (struct serve) { .o = { .name = s->name,
				     .sockets = s->sockets.list,
				     .hosts = o->hosts.v,
				     .n_hosts = o->hosts.n,
				     .body_max = (size_t)o->body_max,
				     .connections_max = o->connections_max } };
	name_after(s->name, sizeof(s->name), model_path);
	if (o->name && !text_copy(s->name, sizeof(s->name), o->name))
		return err_set(e, -ENAMETOOLONG, "--name has more than %zu bytes",
			       sizeof(s->name) - 1);
	if (o->key_file) {
		rc = guard_read_key(o->key_file, s->key, e);
		if (rc)
			return rc;
		s->o.key = s->key;
	}
	rc = sockets_open_all(&s->sockets, o->listen.v, o->listen.n, o->ollama, e);
	s->o.n_sockets = s->sockets.n;
	if (rc == 0)
		rc = check_key(s, e);
	if (rc)
		serve_close(s);
	return rc;
}

void serve_close(struct serve *s)
{
	sockets_close(&s->sockets);
	s->o.n_sockets = 0;
}
