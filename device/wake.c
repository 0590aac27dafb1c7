/* SPDX-License-Identifier: MIT */
#include "device/wake.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void open_node(int to, void *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	char done = fd >= 0;

	child_send(to, &done, 1);
	pause(); /* until it is released */
}

void wake_hold(struct wake *w, const struct scene *s, const struct func *f)
{
	const struct gpu *g = scene_gpu(s, f);
	char node[sizeof(g->drm_render.v)], done;

	w->held = false;
	if (!g || !s->m || !s->m->live || !fact_text_known(&g->drm_render))
		return;
	memcpy(node, g->drm_render.v, sizeof(node));
	if (child_open(&w->child, open_node, node))
		return;
	w->held = true;
	child_receive(&w->child, &done, 1, WAKE_TIMEOUT_MS);
}

void wake_release(struct wake *w)
{
	if (w->held)
		child_close(&w->child);
	w->held = false;
}
