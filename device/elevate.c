/* SPDX-License-Identifier: MIT */
#include "device/elevate.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "base/self.h"
#include "base/text.h"

#define PKEXEC_DISMISSED 126 /* pkexec(1), "RETURN VALUE" */
#define PKEXEC_REFUSED   127
#define LINE_MAX_WORDS   48

bool elevate_needed(const struct machine *m)
{
	return m->live && geteuid() != 0;
}

/* The words of a command line; texts made for it live as long as it does. */
struct line {
	char *v[LINE_MAX_WORDS + 1];
	uint32_t n;
	char texts[8][32];
	uint32_t n_texts;
};

/* pkexec and exec take char *; nobody writes to them. */
static void add(struct line *l, const char *word)
{
	if (l->n < LINE_MAX_WORDS)
		l->v[l->n++] = (char *)(uintptr_t)word;
}

static void add_option(struct line *l, const struct opt *o, const void *options)
{
	const char *at = (const char *)options + o->offset;
	char *name = l->texts[l->n_texts];

	if (l->n_texts == sizeof(l->texts) / sizeof(l->texts[0]))
		return;
	l->n_texts++;
	snprintf(name, sizeof(l->texts[0]), "--%s", o->name);
	for (int k = o->kind == OPT_COUNT ? *(const int *)(const void *)at : 1; k > 0; k--)
		add(l, name);
	if (o->kind == OPT_TEXT)
		add(l, *(const char *const *)(const void *)at);
	if (o->kind == OPT_ENUM)
		add(l, o->choices[*(const int *)(const void *)at]);
}

static void add_words(struct line *l, const struct verb *v, const struct ask *a, const char *device)
{
	add(l, v->name);
	for (uint32_t i = 0; i < a->n_words; i++)
		add(l, i == 0 && device[0] && helper_takes_device(v->name) ? device : a->words[i]);
	for (size_t i = 0; i < device_command.n_opts; i++)
		if (cmd_given(&device_command.opts[i], &a->o, &device_defaults))
			add_option(l, &device_command.opts[i], &a->o);
}

/* "sudo berth device ..." as a person would type it. */
static int say_sudo(const struct line *words, struct err *e, const char *why)
{
	char line[512];
	struct text t;

	text_init(&t, line, sizeof(line));
	for (uint32_t i = 0; i < words->n; i++) {
		text_add(&t, " ");
		text_add_word(&t, words->v[i]);
	}
	return err_set(e, -EACCES,
		       "this needs root, and nothing was changed: %s; run: sudo berth device%s",
		       why, line);
}

/* Root must not be lent to a program that somebody else may change, nor to one in such a folder. */
static bool only_root_may_change(const char *program)
{
	char path[1024];
	struct stat st;

	if (!text_copy(path, sizeof(path), program))
		return false;
	for (;;) {
		if (stat(path, &st) < 0 || st.st_uid != 0)
			return false;
		if (st.st_mode & (S_IWGRP | S_IWOTH) && !(st.st_mode & S_ISVTX))
			return false;
		char *slash = strrchr(path, '/');

		if (!slash || strcmp(path, "/") == 0)
			return true;
		slash[slash == path] = '\0';
	}
}

static int run(const struct line *pkexec, const struct line *words, struct err *e)
{
	int status;
	pid_t pid;
	int rc = posix_spawnp(&pid, pkexec->v[0], NULL, NULL, pkexec->v, environ);

	if (rc == ENOENT)
		return say_sudo(words, e, "there is no pkexec here to ask for it");
	if (rc)
		return say_sudo(words, e, "pkexec cannot be started");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(e, -errno, "pkexec is lost: %s", strerror(errno));
	if (!WIFEXITED(status))
		return err_set(e, -EACCES,
			       "pkexec was ended by signal %d; 'berth device journal' tells what "
			       "was done",
			       WTERMSIG(status));
	if (WEXITSTATUS(status) == PKEXEC_DISMISSED)
		return say_sudo(words, e, "nobody gave the password");
	if (WEXITSTATUS(status) == PKEXEC_REFUSED)
		return say_sudo(words, e, "polkit does not allow it to you");
	return WEXITSTATUS(status);
}

int elevate(const struct verb *v, const struct ask *a, const char *device, struct err *e)
{
	const char *action = helper_action(v->name, a->o.force);
	struct line words = { 0 }, pkexec = { 0 };
	char helper[1024];
	int rc = self_path(helper, sizeof(helper), HELPER, e);

	if (rc)
		return rc;
	add_words(&words, v, a, device);
	if (!action || words.n == LINE_MAX_WORDS)
		return say_sudo(&words, e, "the helper does not take this");
	if (!only_root_may_change(helper))
		return say_sudo(
			&words, e,
			"others than root may change this berth, so it gets no rights by pkexec");
	add(&pkexec, "pkexec");
	add(&pkexec, helper);
	add(&pkexec, action);
	for (uint32_t i = 0; i < words.n; i++)
		add(&pkexec, words.v[i]);
	fflush(stdout);
	return run(&pkexec, &words, e);
}
