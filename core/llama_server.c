/* SPDX-License-Identifier: MIT */
/*
 * An installed llama-server in the place of our core: started as a child with the plan as its options,
 * its log read for the proof, its socket behind ours. To launch it looks like any other core.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cmd.h"
#include "base/own.h"
#include "base/sockets.h"
#include "base/text.h"
#include "core/control.h"
#include "core/page.h"
#include "core/relay.h"
#include "core/scrape.h"
#include "core/serverargs.h"
#include "core/serverlog.h"

#define STOP_MS 4000 /* between asking it to end and killing it */
#define BEAT_MS 500

struct options {
	const char *plan, *telemetry, *name, *key_file, *prompt, *temperature;
	uint32_t control_fd, threads, max_tokens, seed;
	bool serve, no_key;
	struct opt_list allow_host;
	int quiet, verbose;
};

#define ROW(member) offsetof(struct options, member)

/* clang-format off */
static const struct opt opts[] = {
	{ .name = "plan", .kind = OPT_TEXT, .arg = "FILE", .offset = ROW(plan), .help = "The plan to carry out." },
	{ .name = "telemetry", .kind = OPT_TEXT, .arg = "PATH", .offset = ROW(telemetry), .help = "Keep a telemetry page there." },
	{ .name = "control-fd", .kind = OPT_U32, .arg = "N", .offset = ROW(control_fd), .min = 3, .max = 1023,
	  .help = "Report to, and take orders from, the supervisor at this descriptor." },
	{ .name = "threads", .kind = OPT_U32, .arg = "N", .offset = ROW(threads), .min = 1, .max = 512, .help = "Compute with N threads." },
	{ .name = "serve", .kind = OPT_FLAG, .offset = ROW(serve),
	  .help = "Hand the connections at the sockets of LISTEN_FDS on to it, until told to stop." },
	{ .name = "name", .kind = OPT_TEXT, .arg = "NAME", .offset = ROW(name), .help = "What clients call the model." },
	{ .name = "key-file", .kind = OPT_TEXT, .arg = "FILE", .offset = ROW(key_file), .help = "The key that clients must show." },
	{ .name = "no-key", .kind = OPT_FLAG, .offset = ROW(no_key), .help = "Ask for none." },
	{ .name = "allow-host", .kind = OPT_LIST, .arg = "HOST", .offset = ROW(allow_host), .help = "Refused: llama-server looks at no Host." },
	{ .name = "prompt", .kind = OPT_TEXT, .arg = "TEXT", .offset = ROW(prompt), .help = "Refused: it answers requests only." },
	{ .name = "tokens", .letter = 'n', .kind = OPT_U32, .arg = "N", .offset = ROW(max_tokens), .help = "Of a prompt; without meaning here." },
	{ .name = "seed", .kind = OPT_U32, .arg = "N", .offset = ROW(seed), .help = "Of a prompt; without meaning here." },
	{ .name = "temp", .kind = OPT_TEXT, .arg = "X", .offset = ROW(temperature), .help = "Of a prompt; without meaning here." },
	{ .name = "quiet", .letter = 'q', .kind = OPT_COUNT, .offset = ROW(quiet), .help = "Say less." },
	{ .name = "verbose", .letter = 'v', .kind = OPT_COUNT, .offset = ROW(verbose), .help = "Show its log until it is ready." },
};

static const struct cmd command = {
	.name = "core-llama-server",
	.summary = "run a model as a plan says, by an installed llama-server",
	.operands = "",
	.description = "Takes the place of berth's own core: starts $BERTH_LLAMA_SERVER, else the llama-server of PATH, with "
		       "the plan as its options, and reads in its log where every layer went.",
	.opts = opts,
	.n_opts = sizeof(opts) / sizeof(opts[0]),
	.see_also = "berth-launch(1)",
};
/* clang-format on */

struct run {
	struct options o;
	struct plan plan;
	struct control control;
	struct page page;
	struct relay *relay;
	struct sockets sockets;
	struct server_args args;
	struct serverlog log;
	struct account account;
	struct outcome outcome;
	struct scrape scrape;
	char key[256]; /* "" none */
	char program[PATH_MAX], dir[80], socket[100];
	pid_t pid; /* 0: none, or reaped */
	int log_fd, status;
	bool ready;
	int64_t beat_ms;
};

static int find_program(char path[PATH_MAX], struct err *e)
{
	const char *given = getenv("BERTH_LLAMA_SERVER"), *dirs = getenv("PATH");

	if (given && *given)
		return text_copy(path, PATH_MAX, given) && access(path, X_OK) == 0
			       ? 0
			       : err_set(e, -ENOENT, "BERTH_LLAMA_SERVER: %s: %s", given,
					 strerror(errno));
	for (const char *s = dirs ? dirs : ""; *s;) {
		size_t n = strcspn(s, ":");

		if (n && *s == '/' &&
		    snprintf(path, PATH_MAX, "%.*s/llama-server", (int)n, s) < PATH_MAX &&
		    access(path, X_OK) == 0)
			return 0;
		s += n + (s[n] == ':');
	}
	return err_set(e, -ENOENT,
		       "there is no llama-server in PATH; install one, or name it in "
		       "BERTH_LLAMA_SERVER");
}

/* A folder of our own for its socket: nobody gets around the key, and no name is taken. */
static int make_dir(struct run *r, struct err *e)
{
	text_copy(r->dir, sizeof(r->dir), "/tmp/berth-XXXXXX");
	if (!mkdtemp(r->dir)) {
		int rc = -errno;

		r->dir[0] = '\0';
		return err_set(e, rc, "a folder in /tmp: %s", strerror(-rc));
	}
	snprintf(r->socket, sizeof(r->socket), "%s/s.sock", r->dir);
	return 0;
}

static void child(const struct run *r, int out)
{
	sigset_t none;
	int null = open("/dev/null", O_RDONLY);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	execv(r->program, (char *const *)r->args.argv);
	dprintf(STDERR_FILENO, "E cannot start %s: %s\n", r->program, strerror(errno));
	_exit(127);
}

static int start(struct run *r, struct err *e)
{
	struct server_wish w = { .program = r->program,
				 .socket = r->socket,
				 .name = r->o.name,
				 .key_file = r->o.key_file,
				 .threads = r->o.threads ? r->o.threads : 1 };
	int ends[2];
	int rc = server_args(&r->args, &r->plan, &w, e);

	if (rc)
		return rc;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(e, -errno, "a pipe: %s", strerror(errno));
	r->pid = fork();
	if (r->pid == 0)
		child(r, ends[1]);
	rc = r->pid < 0 ? -errno : 0;
	close(ends[1]);
	r->log_fd = ends[0];
	fcntl(r->log_fd, F_SETFL, O_NONBLOCK);
	if (rc) {
		r->pid = 0;
		return err_set(e, rc, "fork: %s", strerror(-rc));
	}
	return 0;
}

/* --- talking to it --- */

/* Does it answer yet? Its health needs no key. */
static bool is_healthy(const struct run *r)
{
	static const char ask[] = "GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n";
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct timeval wait = { .tv_sec = 1 };
	char line[64] = "";

	text_copy(to.sun_path, sizeof(to.sun_path), r->socket);
	own_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) < 0 ||
	    recv(fd, line, sizeof(line) - 1, MSG_WAITALL) < 12)
		return false;
	return strncmp(line, "HTTP/1.", 7) == 0 && strncmp(line + 8, " 200", 4) == 0;
}

static void read_log(struct run *r)
{
	char buf[8192];
	ssize_t n;

	while (r->log_fd >= 0 && (n = read(r->log_fd, buf, sizeof(buf))) != 0) {
		if (n < 0)
			return;
		/* Later lines hold what clients say. */
		if (r->ready)
			continue;
		serverlog_feed(&r->log, buf, (size_t)n);
		if (r->o.verbose)
			fwrite(buf, 1, (size_t)n, stderr);
	}
	own_close_fd(&r->log_fd);
}

/* Its counters, for the page. */
static void count(struct run *r)
{
	struct outcome *o = &r->outcome;
	uint32_t queue = 0;

	if (!scrape_step(&r->scrape, r->socket, r->key[0] ? r->key : NULL, clock_ms(), o, &queue))
		return;
	struct page_counts c = { .queue = queue, .ctx_used = TELEM_UNKNOWN32 };

	memset(&c.all, 0xff, sizeof(c.all)); /* what it does not count is unknown */
	c.all.prompt_tokens = o->prompt_tokens;
	c.all.prompt_ns = o->prompt_ns;
	c.all.generated_tokens = o->generated_tokens;
	c.all.generated_ns = o->generated_ns;
	page_count(&r->page, &c);
}

/* The first line that is no comment, as llama-server reads the file. It becomes a header line. */
static int read_key(struct run *r, struct err *e)
{
	own_file FILE *f = r->o.key_file ? fopen(r->o.key_file, "re") : NULL;

	if (!r->o.key_file)
		return 0;
	if (!f)
		return err_set(e, -errno, "%s: %s", r->o.key_file, strerror(errno));
	while (fgets(r->key, sizeof(r->key), f)) {
		text_trim(r->key);
		if (r->key[0] && r->key[0] != '#')
			break;
		r->key[0] = '\0';
	}
	for (const char *c = r->key; *c; c++)
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
			r->key[0] = '\0';
	return r->key[0] ? 0 : err_set(e, -EBADMSG, "%s holds no key", r->o.key_file);
}

static void reap(struct run *r)
{
	if (r->pid && waitpid(r->pid, &r->status, WNOHANG) == r->pid)
		r->pid = 0;
}

static void beat(struct run *r)
{
	int64_t now = clock_ms();

	if (now - r->beat_ms < BEAT_MS)
		return;
	r->beat_ms = now;
	page_beat(&r->page);
}

static void look(struct run *r, int timeout_ms)
{
	control_poll(&r->control, timeout_ms);
	read_log(r);
	reap(r);
	beat(r);
}

/* --- its life --- */

static enum failure died(struct run *r, struct err *e)
{
	const struct enginelog *l = &r->log.engine;
	bool oom = l->no_memory;

	read_log(r);
	if (WIFSIGNALED(r->status))
		err_set(e, -ECHILD, "llama-server died of signal %d%s%s", WTERMSIG(r->status),
			l->error[0] ? ": " : "", l->error);
	else
		err_set(e, -ECHILD, "llama-server ended with %d%s%s", WEXITSTATUS(r->status),
			l->error[0] ? ": " : "", l->error);
	return oom ? FAILURE_OOM : r->ready ? FAILURE_DECODE : FAILURE_LOAD;
}

static enum failure tell_ready(struct run *r, struct err *e)
{
	uint32_t index[PLAN_DEVICES_MAX];

	read_log(r);
	if (device_match(&r->plan, r->log.devices, r->log.n_devices, index, e))
		return FAILURE_DEVICE;
	r->ready = true;
	account_make(&r->account, &r->log.engine, r->log.devices, index, r->plan.n_devices);
	page_account(&r->page, &r->account, r->plan.flags.n_ctx);
	control_send(&r->control,
		     event_ready(&r->account, &r->log.engine, r->plan.flags.n_ctx, r->o.threads));
	return FAILURE_NONE;
}

/* Until it answers, it ends, or we are told to stop. */
static enum failure load(struct run *r, struct err *e)
{
	while (r->pid && !r->control.stop) {
		look(r, 50);
		if (r->pid && is_healthy(r))
			return tell_ready(r, e);
	}
	return r->control.stop ? FAILURE_NONE : died(r, e);
}

static enum failure serve(struct run *r, struct err *e)
{
	while (r->pid && !r->control.go && !r->control.stop)
		look(r, BEAT_MS);
	if (r->pid && !r->control.stop) {
		page_verified(&r->page);
		page_state(&r->page, TELEM_READY);
	}
	for (uint32_t i = 0; i < r->sockets.n && !r->control.stop; i++)
		if (relay_listen(r->relay, r->sockets.list[i].fd, e))
			return FAILURE_OUTPUT;
	r->control.wake_fd = relay_fd(r->relay);
	while (r->pid && r->o.serve && !r->control.stop) {
		/* its log has to be read, or it stands still */
		look(r, 100);
		relay_step(r->relay);
		count(r);
	}
	if (r->control.stop)
		page_state(&r->page, TELEM_STOPPING);
	r->outcome.stop = r->o.serve || r->control.stop ? "stopped" : "ready";
	return !r->pid && !r->control.stop ? died(r, e) : FAILURE_NONE;
}

static void end_child(struct run *r)
{
	int64_t until = clock_ms() + STOP_MS;

	if (r->pid)
		kill(r->pid, SIGTERM);
	while (r->pid && clock_ms() < until) {
		usleep(20000);
		read_log(r);
		reap(r);
	}
	if (r->pid && kill(r->pid, SIGKILL) == 0)
		waitpid(r->pid, &r->status, 0);
	own_close_fd(&r->log_fd);
	unlink(r->socket);
	if (r->dir[0])
		rmdir(r->dir);
}

/* --- the whole --- */

static int prepare(struct run *r, struct err *e)
{
	int rc = r->o.plan ? plan_read(&r->plan, r->o.plan, e)
			   : err_set(e, -EINVAL, "give a plan with --plan FILE");

	if (rc == 0)
		rc = plan_runnable(&r->plan, e);
	if (rc == 0 && r->o.prompt)
		rc = err_set(e, -EINVAL,
			     "llama-server answers requests and computes no --prompt; "
			     "use --serve, or berth's own engine");
	if (rc == 0 && r->o.allow_host.n)
		rc = err_set(e, -EINVAL,
			     "llama-server does not look at the Host of a request: "
			     "--allow-host has no place beside it");
	if (rc == 0 && r->o.serve)
		rc = sockets_inherit(&r->sockets, e);
	for (uint32_t i = 0; i < r->sockets.n && rc == 0; i++)
		if (r->sockets.list[i].ollama)
			rc = err_set(e, -EINVAL,
				     "llama-server does not speak as Ollama does: "
				     "--ollama has no place beside it");
	if (rc == 0 && r->o.serve && r->sockets.n == 0)
		rc = err_set(e, -EINVAL, "--serve needs sockets to serve on (LISTEN_FDS)");
	if (rc == 0)
		rc = read_key(r, e);
	if (rc == 0)
		rc = find_program(r->program, e);
	return rc;
}

static enum failure run(struct run *r, struct err *e)
{
	enum failure f;

	if (prepare(r, e) || make_dir(r, e) || relay_open(&r->relay, r->socket, e) ||
	    page_open(&r->page, r->o.telemetry, &r->plan, r->o.name, e))
		return FAILURE_PLAN;
	control_send(&r->control, event_loading("llama-server"));
	if (start(r, e))
		return FAILURE_PLAN;
	f = load(r, e);
	if (f == FAILURE_NONE)
		f = serve(r, e);
	return f;
}

static int carry_out(struct run *r)
{
	struct err e = { 0 };
	int rc = control_init(&r->control, r->o.control_fd ? (int)r->o.control_fd : -1, &e);

	if (rc)
		return (int)err_report(command.name, rc, &e);
	enum failure f = run(r, &e);

	relay_close(r->relay);
	scrape_close(&r->scrape);
	end_child(r);
	if (f == FAILURE_NONE && r->ready)
		control_send(&r->control, event_done(&r->outcome));
	else if (f != FAILURE_NONE)
		control_send(&r->control, event_failed(f, e.text));
	page_close(&r->page);
	sockets_close(&r->sockets);
	if (f != FAILURE_NONE && r->control.fd < 0)
		err_report(command.name, e.rc, &e);
	control_fini(&r->control);
	return f == FAILURE_NONE ? EXIT_YES : (int)failure_exit(f);
}

int main(int argc, char **argv)
{
	struct run *r = calloc(1, sizeof(*r));
	int first, rc;

	if (!r)
		return EXIT_ENV;
	r->log_fd = -1;
	serverlog_init(&r->log);
	scrape_init(&r->scrape);
	enum cmd_go go = cmd_parse(&command, argc, argv, &r->o, &first);

	rc = cmd_exit(go);
	if (go == CMD_RUN)
		rc = carry_out(r);
	free(r);
	return rc;
}
