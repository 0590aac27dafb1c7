/* SPDX-License-Identifier: MIT */
#include "core/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/own.h"
#include "base/text.h"

static const char *const ends[] = {
	[MEASURE_DONE] = "measured",       [MEASURE_REFUSED] = "refused",
	[MEASURE_ABORTED] = "aborted",     [MEASURE_NO_MEMORY] = "no memory",
	[MEASURE_NO_DEVICE] = "no device",
};

/* How C++ and the allocators say that there was none left. */
static bool is_shortage(const char *s)
{
	return strstr(s, "bad_alloc") || strstr(s, "allocate") || strstr(s, "out of memory");
}

/* The last line of what was printed that is not empty. */
static void last_line(int fd, char *line, size_t size)
{
	char buf[2048];
	off_t end = lseek(fd, 0, SEEK_END),
	      from = end > (off_t)sizeof(buf) - 1 ? end - (off_t)sizeof(buf) + 1 : 0;
	ssize_t n = pread(fd, buf, sizeof(buf) - 1, from);

	line[0] = 0;
	if (n <= 0)
		return;
	while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == ' '))
		n--;
	buf[n] = 0;
	const char *start = strrchr(buf, '\n');

	text_copy(line, size, start ? start + 1 : buf);
	text_clean(line);
}

static void echo_all(int fd)
{
	char buf[4096];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, buf, sizeof(buf), at)) > 0) {
		io_write(STDERR_FILENO, buf, (size_t)n);
		at += n;
	}
}

/*
 * RLIMIT_DATA counts what a process writes to; the address space would count what GPU drivers reserve
 * and never use, hundreds of gigabytes.
 */
static void child(int to, int log, void (*work)(void *arg, struct measure *out), void *arg,
		  uint64_t limit_bytes)
{
	struct measure m = { 0 };
	struct rlimit limit = { limit_bytes, limit_bytes };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &(struct rlimit) { 0 });
	if (!MEASURE_UNLIMITED)
		setrlimit(RLIMIT_DATA, &limit);
	dup2(log, STDERR_FILENO);
	dup2(log, STDOUT_FILENO);
	work(arg, &m);
	/* Neither handlers nor destructors: the engine's threads are still there */
	_exit(io_write(to, &m, sizeof(m)) ? 1 : 0);
}

/* What a child that sent nothing died of. */
static void read_death(struct measure *out, int status, const char *words)
{
	int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	*out = (struct measure) { .end = MEASURE_ABORTED };
	if (is_shortage(words) || signal == SIGKILL)
		out->end = MEASURE_NO_MEMORY;
	if (words[0])
		text_copy(out->why, sizeof(out->why), words);
	else if (signal)
		snprintf(out->why, sizeof(out->why), "it was ended by signal %d", signal);
	else
		text_copy(out->why, sizeof(out->why), "it ended without a word");
}

int measure_in_child(void (*work)(void *arg, struct measure *out), void *arg, uint64_t limit_bytes,
		     bool echo, struct measure *out, struct err *e)
{
	own_fd int log = memfd_create("engine's words", MFD_CLOEXEC);
	int pair[2], status = 0;
	char words[sizeof(out->why)];

	if (log < 0 || pipe2(pair, O_CLOEXEC) != 0)
		return err_set(e, -errno, "no pipe for a child: %s", strerror(errno));
	own_fd int from = pair[0];
	own_fd int to = pair[1];
	pid_t pid = fork();

	if (pid < 0)
		return err_set(e, -errno, "no child can be made: %s", strerror(errno));
	if (pid == 0)
		child(to, log, work, arg, limit_bytes);
	own_close_fd(&to);
	long n = io_read(from, out, sizeof(*out));

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (echo)
		echo_all(log);
	last_line(log, words, sizeof(words));
	if (n != (long)sizeof(*out))
		read_death(out, status, words);
	return 0;
}

static json_t *device_object(const struct account_device *d, bool host)
{
	json_t *o = json_object();

	json_put_text(o, "name", d->name);
	json_put_text_or_null(o, "pci", d->pci);
	json_put_bool(o, "host", host);
	json_put_int(o, "layers", d->layers);
	json_put_int(o, "compute_bytes", (int64_t)d->bytes.compute);
	return o;
}

json_t *measure_to_json(const struct measure *m, const char *engine)
{
	json_t *o = json_answer("berth.measure/1"), *devices = json_array();
	uint64_t rounding = 0;

	json_put_text(o, "engine", engine);
	json_put_text(o, "end", ends[m->end]);
	json_put_text_or_null(o, "why", m->why);
	if (m->end != MEASURE_DONE) {
		json_decref(devices);
		return o;
	}
	json_put_int(o, "n_ctx_seq", m->n_ctx_seq);
	json_put_int(o, "weights_bytes", (int64_t)m->weights_bytes);
	json_put_int(o, "kv_bytes", (int64_t)m->cache_bytes);
	json_put_int(o, "kv_rounding_bytes", (int64_t)m->cache_rounding_bytes);
	for (uint32_t i = 0; i < m->account.n_devices; i++) {
		const struct account_device *d = &m->account.devices[i];

		json_array_append_new(devices, device_object(d, i + 1 == m->account.n_devices));
		if (d->rounding_bytes > rounding)
			rounding = d->rounding_bytes;
	}
	json_object_set_new(o, "devices", devices);
	json_put_int(o, "rounding_bytes", (int64_t)rounding);
	return o;
}
