/* SPDX-License-Identifier: MIT */
#include "launch/sbatch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/own.h"
#include "base/text.h"

#define NOT_THERE 127 /* as a shell says it */

/* What an administrator or a user can do about a refusal, by a part of Slurm's sentence. */
static const struct {
	const char *part, *hint;
} hints[] = {
	{ "Invalid generic resource",
	  "no node has such GPUs: `berth probe --format slurm` prints the lines for gres.conf" },
	{ "Requested node configuration is not available",
	  "no node has them together; `sinfo -N -o '%N %c %m %G'` shows what each has" },
	{ "Invalid node name",
	  "name the node of this machine with --sbatch nodelist=NODE; `sinfo -N` lists them" },
	{ "Unable to contact slurm controller", "is slurmctld running?" },
};

static int memory_file(const char *name, const char *text)
{
	own_fd int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0 || (text && io_write(fd, text, strlen(text)) != 0) ||
	    lseek(fd, 0, SEEK_SET) != 0)
		return -1;
	return take_fd(&fd);
}

/* What sbatch wrote, from the beginning. */
static void read_words(int fd, char *buf, size_t size)
{
	ssize_t n = pread(fd, buf, size - 1, 0);

	buf[n > 0 ? n : 0] = '\0';
}

/* Its last error, or what else it said first, without what such lines begin with. */
static const char *last_error(char *words)
{
	static const char error[] = "sbatch: error: ", own[] = "sbatch: ";
	const char *first = NULL, *last = NULL;
	char *save = NULL;

	for (char *s = strtok_r(words, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
		if (strncmp(s, error, sizeof(error) - 1) == 0)
			last = s + sizeof(error) - 1;
		else if (!first)
			first = strncmp(s, own, sizeof(own) - 1) == 0 ? s + sizeof(own) - 1 : s;
	}
	return last ? last : first ? first : "sbatch says nothing";
}

static int refused(struct sbatch *s, int status, struct err *e)
{
	char words[4096], why[512];

	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_THERE)
		return err_set(
			e, -EACCES,
			"there is no sbatch in PATH: Slurm's commands are not installed here");
	read_words(s->err_fd, words, sizeof(words));
	text_copy(why, sizeof(why), last_error(words));
	text_clean(why);
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (strstr(why, hints[i].part))
			return err_set(e, -EACCES, "Slurm refuses the job: %s; %s", why,
				       hints[i].hint);
	return err_set(e, -EACCES, "Slurm refuses the job: %s", why);
}

static int reap(struct sbatch *s)
{
	int status = 0;

	while (s->pid > 0 && waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	s->pid = 0;
	return status;
}

static void run_sbatch(int in, int out, int err)
{
	static char *const argv[] = { (char *)"sbatch", (char *)"--parsable", NULL };

	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(err, STDERR_FILENO) < 0)
		_exit(NOT_THERE - 1);
	execvp(argv[0], argv);
	_exit(NOT_THERE);
}

static int start(struct sbatch *s, const char *script, struct err *e)
{
	own_fd int in = memory_file("sbatch script", script),
		   err = memory_file("sbatch says", NULL);
	int out[2];

	if (in < 0 || err < 0 || pipe2(out, O_CLOEXEC) < 0)
		return err_set(e, -errno, "no memory for sbatch: %s", strerror(errno));
	fflush(NULL);
	s->pid = fork();
	if (s->pid == 0)
		run_sbatch(in, out[1], err);
	close(out[1]);
	s->out_fd = out[0];
	s->err_fd = take_fd(&err);
	return s->pid < 0 ? err_set(e, -EAGAIN, "no new process for sbatch: %s", strerror(errno))
			  : 0;
}

/* "12" or "12;cluster", and the end of the line. */
static bool read_number(struct sbatch *s)
{
	char line[sizeof(s->job) + sizeof(s->cluster)];
	size_t n = 0, digits;

	while (n < sizeof(line) - 1 && io_read(s->out_fd, line + n, 1) == 1 && line[n] != '\n')
		n++;
	line[n] = '\0';
	digits = strspn(line, "0123456789");
	if (!digits || digits >= sizeof(s->job) || (line[digits] && line[digits] != ';'))
		return false;
	snprintf(s->job, sizeof(s->job), "%.*s", (int)digits, line);
	text_copy(s->cluster, sizeof(s->cluster),
		  line[digits] ? text_clean(line + digits + 1) : "");
	return true;
}

int sbatch_begin(struct sbatch *s, const char *script, struct err *e)
{
	int rc;

	*s = (struct sbatch) { .out_fd = -1, .err_fd = -1 };
	rc = start(s, script, e);
	if (rc == 0 && !read_number(s))
		rc = refused(s, reap(s), e);
	if (rc) {
		own_close_fd(&s->out_fd);
		own_close_fd(&s->err_fd);
	}
	return rc;
}

int sbatch_end(struct sbatch *s, char *warned, size_t size)
{
	int status = reap(s);

	read_words(s->err_fd, warned, size);
	own_close_fd(&s->out_fd);
	own_close_fd(&s->err_fd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_ENV;
}
