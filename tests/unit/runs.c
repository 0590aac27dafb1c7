/* SPDX-License-Identifier: MIT */
/* The record of a run, its lock and its log; the answers while no core runs; how an OOM kill is told. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "launch/busy.h"
#include "launch/logfile.h"
#include "launch/oom.h"
#include "launch/runs.h"
#include "tests/unit/harness.h"

static char dir[] = "/tmp/berth-runs-XXXXXX";

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	unsetenv("XDG_RUNTIME_DIR");
	return setenv("BERTH_RUNTIME_DIR", dir, 1);
}

static int teardown(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void path_of(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", dir, name);
}

static void put(const char *name, const char *text)
{
	char path[300];

	path_of(path, sizeof(path), name);
	for (char *slash = strchr(path + sizeof(dir), '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(path, 0700);
		*slash = '/';
	}
	own_file FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
}

static void names(void **state)
{
	static const char *const good[] = { "a", "Qwen3-8B.Q4_K_M", "7b", "x_y" };
	static const char *const bad[] = {
		"",         ".x",
		"-x",       "_x",
		"a/b",      "a b",
		"..",       "x\n",
		"\xc3\xa9", "0123456789012345678901234567890123456789012345678901234567890123"
	};
	static const struct {
		const char *model, *name;
	} from[] = {
		{ "/m/Qwen3-8B Q4.gguf", "Qwen3-8BQ4" },
		{ "../..//.gguf", "model" },
		{ "", "model" },
		{ "-._x", "x" },
		{ "/a/b.gguf/c", "c" },
	};
	char name[RUN_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(run_name_is_good(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(run_name_is_good(bad[i]));
	for (size_t i = 0; i < COUNT(from); i++) {
		run_name_from(name, sizeof(name), from[i].model);
		assert_string_equal(name, from[i].name);
		assert_true(run_name_is_good(name));
	}
}

static void records(void **state)
{
	struct run_record r = { .name = "a",
				.state = RUN_WAITING,
				.core_pid = 7,
				.starts = 3,
				.n_addresses = 1 },
			  b;
	struct err e = { 0 };
	json_t *o;

	(void)state;
	strcpy(r.addresses[0], "openai 127.0.0.1:8470");
	strcpy(r.model, "/m/x.gguf");
	strcpy(r.last_class, "abort");
	strcpy(r.notice, "runs without 0000:01:00.0");
	o = run_to_json(&r);
	assert_int_equal(run_from_json(&b, o, &e), 0);
	assert_string_equal(b.name, "a");
	assert_int_equal(b.state, RUN_WAITING);
	assert_int_equal(b.core_pid, 7);
	assert_int_equal(b.starts, 3);
	assert_string_equal(b.addresses[0], r.addresses[0]);
	assert_string_equal(b.notice, r.notice);
	assert_string_equal(b.key_file, "");
	/* what it says of its own pid is not believed */
	assert_int_equal(b.supervisor, 0);
	/* states that are only ever found out are never read */
	json_object_set_new(o, "state", json_string("dead"));
	assert_int_equal(run_from_json(&b, o, &e), -EBADMSG);
	json_object_set_new(o, "state", json_string("ready"));
	json_object_set_new(o, "name", json_string("../a"));
	assert_int_equal(run_from_json(&b, o, &e), -EBADMSG);
	json_decref(o);
}

/* The lock is the process's: another one must ask. Its exit status is 0 when it got the name. */
static int claim_elsewhere(const char *name)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct run_claim c;

		_exit(run_claim(&c, name, NULL) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static void claims(void **state)
{
	struct run_record r = { .name = "a", .state = RUN_READY }, found;
	struct run_claim c;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(run_claim(&c, "a", &e), 0);
	assert_int_equal(claim_elsewhere("a"), 1);
	assert_int_equal(claim_elsewhere("b"), 0);
	run_tell(&c, &r);
	assert_int_equal(runs_find(&found, "a", &e), 0);
	/* the kernel does not tell a process of its own lock: to us it looks dead */
	assert_int_equal(found.state, RUN_DEAD);
	assert_int_equal(run_signal(&found, 0), -ESRCH);
	assert_int_equal(runs_find(&found, "b", &e), -ENOENT);
	assert_non_null(strstr(e.text, "`berth ps` lists a"));
	run_release(&c, true);
	assert_int_equal(claim_elsewhere("a"), 0);
	assert_int_equal(runs_find(&found, "a", &e), 0); /* kept */
	run_forget(&found);
	assert_int_equal(runs_find(&found, "a", &e), -ENOENT);
	/* a record under another name than its own, and one that is no record */
	put("x.run.json", "{\"schema\":\"berth.run/1\",\"name\":\"y\",\"state\":\"ready\"}");
	put("z.run.json", "{");
	assert_int_equal(runs_find(&found, "y", &e), -ENOENT);
	assert_int_equal(runs_find(&found, "z", &e), -ENOENT);
}

static long size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

static void logs(void **state)
{
	char path[200], old[204], text[400];
	struct logfile l;
	struct err e = { 0 };

	(void)state;
	path_of(path, sizeof(path), "a.log");
	snprintf(old, sizeof(old), "%s.1", path);
	assert_int_equal(logfile_open(&l, path, &e), 0);
	l.max = 100;
	/* a line that comes in pieces has one time; it is never torn by the turn-over */
	for (int i = 0; i < 9; i++) {
		logfile_write(&l, "be", 2);
		logfile_write(&l, "rth\n", 4);
	}
	assert_true(size_of(path) > 0 && size_of(path) <= 100 + 27);
	assert_true(size_of(old) >= 100);
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	long n = read(fd, text, sizeof(text) - 1);

	assert_true(n > 0);
	text[n] = 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		assert_int_equal(strlen(line), 26);
		assert_string_equal(line + 19, "Z berth");
	}
	logfile_close(&l);
	/* appended to, the next time */
	n = size_of(path);
	assert_int_equal(logfile_open(&l, path, &e), 0);
	logfile_write(&l, "x\n", 2);
	assert_int_equal(size_of(path), n + 23);
	logfile_close(&l);
}

/* A full disk loses lines, says how much, and is no reason to end. */
static void full_disk(void **state)
{
	struct logfile l = { .fd = open("/dev/full", O_WRONLY | O_CLOEXEC),
			     .also_fd = -1,
			     .max = LOGFILE_MAX };
	int pipes[2];
	char text[200];

	(void)state;
	assert_true(l.fd >= 0);
	logfile_write(&l, "hello\n", 6);
	logfile_write(&l, "you\n", 4);
	assert_int_equal(l.lost, 10);
	own_close_fd(&l.fd);
	/* there is room again */
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	l.fd = pipes[1];
	logfile_write(&l, "back\n", 5);
	long n = read(pipes[0], text, sizeof(text) - 1);

	assert_true(n > 0);
	text[n] = 0;
	assert_non_null(strstr(text, "Z (10 bytes lost) back\n"));
	assert_int_equal(l.lost, 0);
	logfile_close(&l);
	close(pipes[0]);
	/* and the stream that stands for stderr goes on */
	l.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	FILE *f = logfile_stream(&l);

	assert_non_null(f);
	assert_true(fprintf(f, "x\n") == 2 && fflush(f) == 0 && !ferror(f));
	fclose(f);
	logfile_close(&l);
}

static void refusals(void **state)
{
	char words[1024];
	struct text t;

	(void)state;
	text_init(&t, words, sizeof(words));
	busy_answer(&t, "GET /v1/models HTTP/1.1", 23, false, "it loads", 7);
	assert_memory_equal(words, "HTTP/1.1 503 ", 13);
	assert_non_null(strstr(words, "\r\nRetry-After: 7\r\n"));
	assert_non_null(strstr(words, "\"message\":\"it loads; try again in 7 s\""));
	const char *body = strstr(words, "\r\n\r\n");
	const char *length = strstr(words, "Content-Length: ");

	assert_int_equal(strtoul(length + 16, NULL, 10), strlen(body + 4));
	/* Ollama's shape: by the path, or by the socket */
	text_init(&t, words, sizeof(words));
	busy_answer(&t, "POST /api/chat HTTP/1.1", 23, false, "it loads", 7);
	assert_non_null(strstr(words, "\r\n\r\n{\"error\":\"it loads; try again in 7 s\"}"));
	text_init(&t, words, sizeof(words));
	busy_answer(&t, "", 0, true, "it loads", 7);
	assert_non_null(strstr(words, "\r\n\r\n{\"error\":\""));
	text_init(&t, words, sizeof(words));
	busy_answer(&t, "GET /api/", 5, false, "it loads", 7); /* cut before the path */
	assert_non_null(strstr(words, "unavailable_error"));
}

/* Poll as the supervisor does until the client has its answer. */
static void busy_round(struct busy *b)
{
	struct pollfd p[BUSY_POLLS_MAX];
	int timeout = 1000;
	uint32_t n = busy_polls(b, p, &timeout);

	assert_true(n <= BUSY_POLLS_MAX && timeout >= 0);
	poll(p, n, timeout);
	busy_step(b, p, n);
}

static int knock(const char *spec)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", spec + 5);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void clients(void **state)
{
	static struct busy b;
	struct sockets s = { 0 };
	struct err e = { 0 };
	int silent[BUSY_CLIENTS_MAX];
	char spec[100], words[1024] = "";

	(void)state;
	snprintf(spec, sizeof(spec), "unix:%s/busy", dir);
	assert_int_equal(sockets_open(&s, spec, false, &e), 0);
	busy_init(&b, &s);
	/* as many silent ones as there is room for; one that asks comes after them */
	for (int i = 0; i < BUSY_CLIENTS_MAX; i++)
		silent[i] = knock(spec);
	own_fd int fd = knock(spec);

	assert_int_equal(send(fd, "GET / HT", 8, 0), 8);
	assert_int_equal(send(fd, "TP/1.1\r\n\r\n", 10, 0), 10);
	/* the silent have their time, then it has its turn */
	while (recv(fd, words, sizeof(words) - 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
		busy_round(&b);
	assert_memory_equal(words, "HTTP/1.1 503", 12);
	for (int i = 0; i < BUSY_CLIENTS_MAX; i++) {
		assert_int_equal(recv(silent[i], words, sizeof(words), 0), 0);
		close(silent[i]);
	}
	busy_fini(&b);
	sockets_close(&s);
}

static void oom(void **state)
{
	struct machine m;
	struct err e = { 0 };

	(void)state;
	put("m/sys/x", "");
	char path[200];

	path_of(path, sizeof(path), "m");
	assert_int_equal(machine_open(&m, path, &e), 0);
	assert_int_equal(oom_kills(&m), 0);
	put("m/proc/vmstat", "nr_free_pages 1\noom_kill 9\nfoo 2\n");
	assert_int_equal(oom_kills(&m), 9);
	/* the group's own count comes first: others' deaths are theirs */
	put("m/proc/self/cgroup", "5:devices:/x\n4:memory:/a/b\n0::/user.slice/x y\n");
	put("m/sys/fs/cgroup/memory/a/b/memory.oom_control",
	    "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
	assert_int_equal(oom_kills(&m), 3);
	put("m/sys/fs/cgroup/user.slice/x y/memory.events",
	    "low 0\nhigh 7\nmax 8\noom 5\noom_kill 4\noom_group_kill 1\n");
	assert_int_equal(oom_kills(&m), 4);
	put("m/sys/fs/cgroup/user.slice/x y/memory.events", "low 0\n");
	assert_int_equal(oom_kills(&m), 3);
	machine_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),   cmocka_unit_test(records),   cmocka_unit_test(claims),
		cmocka_unit_test(logs),    cmocka_unit_test(full_disk), cmocka_unit_test(refusals),
		cmocka_unit_test(clients), cmocka_unit_test(oom),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
