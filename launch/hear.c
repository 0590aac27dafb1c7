/* SPDX-License-Identifier: MIT */
/* What a core says: on its control line, on stderr, and the text it generates. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"
#include "launch/proof.h"
#include "launch/serve.h"
#include "launch/watch_priv.h"

#define BAR_WIDTH 40
#define TEXT_MAX  (16 << 20) /* of generated text kept for --json */

static void show_progress(struct watch *w)
{
	static const char bar[] = "########################################";
	const struct log *l = &w->j->log;
	int done;

	_Static_assert(sizeof(bar) - 1 == BAR_WIDTH, "as many as the bar is wide");

	if (!isatty(STDERR_FILENO) || l->level < LOG_NORMAL)
		return;
	done = w->j->wire.percent * (BAR_WIDTH) / 100;
	/* Past stderr's stream, which may lead into a log */
	dprintf(STDERR_FILENO, "\rloading [%.*s%*s] %3d %%", done, bar, BAR_WIDTH - done, "",
		w->j->wire.percent);
	w->counter_shown = true;
}

void hear_clear_progress(struct watch *w)
{
	if (w->counter_shown)
		dprintf(STDERR_FILENO, "\r%*s\r", BAR_WIDTH + 16, "");
	w->counter_shown = false;
}

static void warn_inexact(const struct job *j)
{
	for (uint32_t i = 0; i + 1 < j->proof.n; i++)
		if (!j->proof.rows[i].exact)
			log_warn(&j->log, "%s: weights or KV cache are not what was planned",
				 j->proof.rows[i].pci[0] ? j->proof.rows[i].pci
							 : j->proof.rows[i].name);
	if (j->proof.unplaced_bytes)
		log_warn(&j->log, "%llu bytes of buffers are on a device that is in no plan",
			 (unsigned long long)j->proof.unplaced_bytes);
}

/* The table stands at the left margin: it has no room for our name on every line. */
static void show_proof(const struct job *j)
{
	char table[4096];
	struct text t;

	if (j->log.level < LOG_NORMAL)
		return;
	text_init(&t, table, sizeof(table));
	proof_text(&t, &j->proof);
	log_note(&j->log, "placement proven: %u layers and the output are where the plan says",
		 j->plan.n_layer);
	fputs(table, stderr);
}

/* The engine told where everything is: go, or refuse. */
static void on_ready(struct watch *w)
{
	struct job *j = w->j;
	struct err e = { 0 };

	hear_clear_progress(w);
	if (verify_placement(&j->plan, &j->wire.ready, &e)) {
		w->refused = true;
		text_copy(w->sentence, sizeof(w->sentence), e.text);
		watch_stop(w, 2);
		return;
	}
	proof_make(&j->proof, &j->plan, &j->wire.ready);
	j->proven = true;
	show_proof(j);
	warn_inexact(j);
	if (w->stops)
		return;
	if (j->serve)
		serve_open(j);
	send(w->child.control_fd, "go\n", 3, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (j->serve)
		serve_ready(j);
}

static void on_line(struct watch *w)
{
	struct job *j = w->j;
	struct err e = { 0 };
	bool was_ready = j->wire.is_ready;

	if (wire_line(&j->wire, w->line, w->n_line, &e)) {
		/* A core that talks nonsense proves nothing */
		w->refused = true;
		text_copy(w->sentence, sizeof(w->sentence), e.text);
		watch_stop(w, 2);
		return;
	}
	if (j->wire.loading)
		unlink(j->runtime.plan_path); /* it has been read */
	if (j->wire.is_ready && !was_ready)
		on_ready(w);
	else if (!j->wire.is_ready && !j->wire.has_failed)
		show_progress(w);
}

void hear_control(struct watch *w)
{
	char buf[4096];
	ssize_t n = recv(w->child.control_fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		own_close_fd(&w->child.control_fd);
		/* A core that closed its line ends by itself, or is helped to */
		watch_stop(w, 1);
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] == '\n') {
			on_line(w);
			w->n_line = 0;
		} else if (w->n_line < WIRE_LINE_MAX) {
			w->line[w->n_line++] = buf[i];
		}
	}
}

void hear_stderr(struct watch *w)
{
	char buf[4096];
	ssize_t n = read(w->child.err_fd, buf, sizeof(buf));

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		own_close_fd(&w->child.err_fd);
		return;
	}
	if (n < 0)
		return;
	tail_add(&w->j->tail, buf, (size_t)n);
	if (w->j->serve)
		serve_engine_says(w->j, buf, (size_t)n);
	else if (w->j->o.verbose)
		fwrite(buf, 1, (size_t)n, stderr);
}

void hear_text(struct watch *w)
{
	struct job *j = w->j;
	char buf[4096];
	ssize_t n = read(w->child.out_fd, buf, sizeof(buf));
	char *more;

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		own_close_fd(&w->child.out_fd);
		return;
	}
	if (n > 0 && j->serve) /* a core that serves has nothing for our reader */
		serve_engine_says(j, buf, (size_t)n);
	if (n < 0 || j->serve || j->n_text + (size_t)n > TEXT_MAX)
		return;
	more = realloc(j->text, j->n_text + (size_t)n);
	if (!more)
		return;
	j->text = more;
	memcpy(j->text + j->n_text, buf, (size_t)n);
	j->n_text += (size_t)n;
}
