/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bar-forward/serve_priv.h"
#include "bar-forward/whichbridge.h"
#include "base/text.h"

#define TELL_NS UINT64_C(100000000)

static void remove_page(const char *path)
{
	char beside[BRIDGE_PATH_MAX];

	unlink(whichbridge_beside(beside, path, ".trace"));
	unlink(whichbridge_beside(beside, path, ".ctl"));
	unlink(path);
}

/* Pages of bridges that were killed at this socket: this one stands where they stood. */
static void remove_dead(const char *socket)
{
	struct telem_page page;
	enum telem_life life;
	struct err unsaid = { 0 };
	char **paths = NULL;

	if (telem_list(&paths) < 0)
		return;
	for (char **p = paths; *p; p++)
		if (telem_read(*p, &page, &life, &unsaid) == 0 &&
		    page.header.kind == TELEM_BRIDGE && life == TELEM_DEAD &&
		    strcmp(page.bridge.socket, socket) == 0)
			remove_page(*p);
	telem_list_free(paths);
}

int serve_page_open(struct serve_page *p, const struct serve_opts *o, struct err *e)
{
	char dir[512], path[sizeof(dir) + 32];
	int rc = telem_dir(dir, sizeof(dir), e);

	if (rc)
		return rc;
	*p->now = (struct telem_bridge) { .mode = TELEM_MODE_TRAP,
					  .state = TELEM_BRIDGE_STARTING,
					  .generation = 1,
					  .started_ns = telem_now_ns() };
	text_copy(p->now->pci, sizeof(p->now->pci), o->pci ? o->pci : "");
	text_copy(p->now->socket, sizeof(p->now->socket), o->socket);
	text_copy(p->now->backend, sizeof(p->now->backend), o->ops->name);
	text_copy(p->now->guest, sizeof(p->now->guest), o->guest ? o->guest : "");
	/* Interrupts go straight to the guest; a device may be served without workers. */
	p->now->counts.worker_restarts = p->now->counts.restart_gap_ns = TELEM_UNKNOWN;
	p->now->counts.interrupts = TELEM_UNKNOWN;
	remove_dead(p->now->socket);
	snprintf(path, sizeof(path), "%s/bridge-%d.telem", dir, (int)getpid());
	rc = telem_create(&p->writer, path, TELEM_BRIDGE, e);
	/* Whoever finds it knows whose it is, however long the device takes to open. */
	if (!rc)
		serve_page_tell(p, true);
	return rc;
}

bool serve_page_tell(struct serve_page *p, bool must)
{
	uint64_t now = telem_now_ns();

	if (!must && now - p->told_ns < TELL_NS)
		return true;
	trace_counts(p->trace, &p->now->counts.recorder_bytes, &p->now->counts.recorder_drops);
	telem_begin(&p->writer);
	p->writer.page->bridge = *p->now;
	telem_bridge_add(&p->writer.page->bridge, p->worker);
	telem_end(&p->writer);
	p->told_ns = now;
	return false;
}

void serve_page_close(struct serve_page *p)
{
	if (!p->writer.page)
		return;
	p->now->state = TELEM_BRIDGE_STOPPED;
	serve_page_tell(p, true);
	telem_remove(&p->writer);
}
