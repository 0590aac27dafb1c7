/* SPDX-License-Identifier: MIT */
#include "launch/grant.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/own.h"
#include "base/text.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Where gres.conf is when SLURM_CONF does not say: the packages' place, and a node's without files of its own. */
static const char *const folders[] = { "/etc/slurm", "/run/slurm/conf", "/usr/local/etc" };

/* What Slurm sets for a grant, whatever the vendors of the GPUs are (gres.conf(5), Flags). */
static const char *const variables[] = {
	"CUDA_VISIBLE_DEVICES",
	"ROCR_VISIBLE_DEVICES",
	"ZE_AFFINITY_MASK",
	"GPU_DEVICE_ORDINAL",
};

/* 0, -ENOENT: there is none, or another errno: it cannot be read. */
static int read_conf(const char *path, char **text, size_t *n, struct err *e)
{
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	own_free char *buf = malloc(SLURM_CONF_MAX + 1);
	long got;

	if (!buf)
		return err_set(e, -ENOMEM, "out of memory");
	if (fd < 0)
		return -errno;
	got = io_read(fd, buf, SLURM_CONF_MAX + 1);
	if (got < 0)
		return (int)got;
	if (got > SLURM_CONF_MAX)
		return err_set(e, -EBADMSG, "%s is larger than %d KiB", path, SLURM_CONF_MAX >> 10);
	*n = (size_t)got;
	*text = take_ptr(&buf);
	return 0;
}

/* The folder of Slurm's files. false: it is not where it can be. */
static bool find_folder(char *folder, size_t size)
{
	const char *own = getenv("SLURM_CONF");
	const char *slash = own ? strrchr(own, '/') : NULL;
	char path[PATH_MAX];

	if (slash)
		return snprintf(folder, size, "%.*s", (int)(slash - own), own) < (int)size;
	for (size_t i = 0; i < N_OF(folders); i++) {
		snprintf(path, sizeof(path), "%s/slurm.conf", folders[i]);
		if (access(path, F_OK) == 0)
			return text_copy(folder, size, folders[i]);
	}
	return false;
}

static int read_order(struct gres *g, const char *folder, const char *node, struct err *e)
{
	own_free char *text = NULL;
	char path[PATH_MAX];
	size_t n = 0;
	int rc;

	snprintf(path, sizeof(path), "%s/slurm.conf", folder);
	rc = read_conf(path, &text, &n, e);
	if (rc == 0)
		rc = gres_order(g, text, n, node, e);
	return rc < 0 && e->rc ? err_at(e, rc, "%s", path) : rc;
}

/*
 * What Slurm numbers. A file that is not ours to read is as one that is not there: *assumed says that its
 * order had to be guessed.
 */
static int read_gres(struct gres *g, const char *node, bool *assumed, struct err *e)
{
	own_free char *text = NULL;
	char folder[PATH_MAX - 16], path[PATH_MAX];
	size_t n = 0;
	int rc = find_folder(folder, sizeof(folder)) ? 0 : -ENOENT;

	memset(g, 0, sizeof(*g));
	snprintf(path, sizeof(path), "%s/gres.conf", folder);
	if (rc == 0)
		rc = read_conf(path, &text, &n, e);
	if (rc == 0)
		rc = gres_parse(g, text, n, node, e);
	if (rc && e->rc)
		return err_at(e, rc, "%s", path);
	*assumed = rc != 0;
	if (rc)
		return 0;
	if (g->includes)
		return err_set(
			e, -ENODATA,
			"%s includes another file, which berth does not follow: which GPU is "
			"which to Slurm is not known",
			path);
	rc = read_order(g, folder, node, e);
	if (rc < 0 && e->rc)
		return rc;
	*assumed = rc <= 0;
	return 0;
}

int grant_read(struct grant *to, const struct report *r, bool *assumed, struct err *e)
{
	/* Within a step the job's own list is inherited, and says more than the step has */
	const char *numbers = getenv(getenv("SLURM_STEP_ID") ? "SLURM_STEP_GPUS"
							     : "SLURM_JOB_GPUS");
	const char *node = getenv("SLURMD_NODENAME");
	own_free struct gres *g = malloc(sizeof(*g));
	int rc;

	*to = (struct grant) { 0 };
	*assumed = false;
	if (!g)
		return err_set(e, -ENOMEM, "out of memory");
	if (!getenv("SLURM_JOB_ID"))
		return err_set(
			e, -EACCES,
			"--granted is for a job of Slurm's, and this is none: SLURM_JOB_ID is "
			"not set");
	rc = read_gres(g, node ? node : fact_text_known(&r->host) ? r->host.v : "", assumed, e);
	if (rc)
		return rc;
	gres_detect(g, r);
	return grant_find(to, g, r, numbers, e);
}

void grant_clear_env(const struct grant *g)
{
	for (size_t i = 0; g->mixed && i < N_OF(variables); i++)
		unsetenv(variables[i]);
}
