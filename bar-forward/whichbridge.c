/* SPDX-License-Identifier: MIT */
#include "bar-forward/whichbridge.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"

#define BY "by its process, socket, guest or PCI address"

/* An address is told without its domain, too, as every other command takes it. */
static bool is_device(const char *pci, const char *word)
{
	return strcmp(word, pci) == 0 ||
	       (strncmp(pci, "0000:", 5) == 0 && strcmp(word, pci + 5) == 0);
}

static bool is_meant(const struct telem_page *p, const char *word)
{
	const struct telem_bridge *b = &p->bridge;
	uint64_t pid;

	if (text_parse_u64(word, &pid) == 0 && pid == (uint64_t)p->header.writer_pid)
		return true;
	return strcmp(word, b->socket) == 0 || (b->guest[0] && strcmp(word, b->guest) == 0) ||
	       (b->pci[0] && is_device(b->pci, word));
}

int whichbridge_find(struct whichbridge *w, const char *word, struct err *e)
{
	char **paths = NULL;
	int n = telem_list(&paths), found = 0, living = 0;
	struct err unsaid = { 0 };
	struct telem_page page;
	enum telem_life life;

	for (char **p = paths; n >= 0 && *p; p++) {
		if (telem_read(*p, &page, &life, &unsaid) || page.header.kind != TELEM_BRIDGE ||
		    !is_meant(&page, word))
			continue;
		found++;
		living += life != TELEM_DEAD;
		if (found > 1 && life == TELEM_DEAD)
			continue;
		w->pid = page.header.writer_pid;
		w->life = life;
		text_copy(w->page, sizeof(w->page), *p);
	}
	telem_list_free(paths);
	if (!found)
		return err_set(e, -ENODEV, "'%s' is no bridge that runs here, " BY, word);
	if (living > 1 || (!living && found > 1))
		return err_set(e, -EINVAL, "'%s' means %d bridges: name one by its process", word,
			       found);
	return 0;
}

const char *whichbridge_beside(char *to, const char *page, const char *suffix)
{
	static const char is[] = ".telem";
	size_t n = strlen(page);

	if (n > strlen(is) && strcmp(page + n - strlen(is), is) == 0)
		n -= strlen(is);
	snprintf(to, BRIDGE_PATH_MAX, "%.*s%s", (int)n, page, suffix);
	return to;
}

int whichbridge_recording(const char *word, char path[4096], struct err *e)
{
	struct whichbridge w;
	struct stat st;
	char link[BRIDGE_PATH_MAX];
	ssize_t n;
	int rc;

	if (stat(word, &st) == 0 && S_ISREG(st.st_mode)) {
		text_copy(path, 4096, word);
		return 0;
	}
	rc = whichbridge_find(&w, word, e);
	if (rc == -ENODEV)
		return err_set(e, rc, "'%s' is no file and no bridge that runs here, " BY, word);
	if (rc)
		return rc;
	n = readlink(whichbridge_beside(link, w.page, ".trace"), path, 4095);
	if (n < 0)
		return err_set(e, -ENODEV,
			       "the bridge of process %d records nothing; 'berth bridge record %s "
			       "start FILE' has it begin",
			       (int)w.pid, word);
	path[n] = '\0';
	return 0;
}

int whichbridge_link(const char *page, const char *path, struct err *e)
{
	char link[BRIDGE_PATH_MAX], whole[PATH_MAX];

	unlink(whichbridge_beside(link, page, ".trace"));
	if (!path)
		return 0;
	if (!realpath(path, whole) || symlink(whole, link))
		return err_set(e, -errno, "cannot link the recording at %s: %s", link,
			       strerror(errno));
	return 0;
}
